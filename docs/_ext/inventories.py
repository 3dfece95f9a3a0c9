"""Small inventories of other projects, so that their names are links where no network is there.

Sphinx reads them in place of the projects' own inventories (``intersphinx_mapping``). Each holds the names that our
annotations and docstrings use; the pages follow the projects' own naming.
"""

from __future__ import annotations

import zlib
from pathlib import Path

PROJECTS = {
    "anndata": (
        "https://anndata.readthedocs.io/en/stable/",
        "generated/$.html#$",
        {"class": ["anndata.AnnData"], "function": ["anndata.concat", "anndata.io.read_h5ad"]},
    ),
    "lightning": (
        "https://lightning.ai/docs/pytorch/stable/",
        "api/$.html#$",
        {
            "class": [
                "lightning.pytorch.LightningModule",
                "lightning.pytorch.core.LightningModule",
                "lightning.pytorch.core.LightningDataModule",
                "lightning.pytorch.trainer.trainer.Trainer",
                "lightning.pytorch.callbacks.Callback",
            ]
        },
    ),
    "matplotlib": (
        "https://matplotlib.org/stable/",
        "api/_as_gen/$.html#$",
        {"class": ["matplotlib.axes.Axes", "matplotlib.figure.Figure"]},
    ),
    "mudata": ("https://mudata.readthedocs.io/stable/", "generated/$.html#$", {"class": ["mudata.MuData"]}),
    "numpy": (
        "https://numpy.org/doc/stable/",
        "reference/generated/$.html#$",
        {
            "class": ["numpy.ndarray", "numpy.dtype", "numpy.memmap", "numpy.number", "numpy.generic", "numpy.inexact"],
            "function": ["numpy.load"],
        },
    ),
    "numpy-random": (
        "https://numpy.org/doc/stable/",
        "reference/random/generator.html#$",
        {"class": ["numpy.random.Generator"]},
    ),
    "numpy-scalars": (
        "https://numpy.org/doc/stable/",
        "reference/arrays.scalars.html#$",
        {
            "class": ["numpy.floating", "numpy.integer", "numpy.bool", "numpy.float64", "numpy.int64"],
            "attribute": ["numpy.float32"],
        },
    ),
    "numpy-typing": (
        "https://numpy.org/doc/stable/",
        "reference/typing.html#$",
        {"data": ["numpy.typing.NDArray", "numpy.typing.ArrayLike", "numpy.typing.DTypeLike"]},
    ),
    "pandas": (
        "https://pandas.pydata.org/docs/",
        "reference/api/$.html#$",
        {"class": ["pandas.DataFrame", "pandas.Series", "pandas.Index", "pandas.Categorical"]},
    ),
    "python": (
        "https://docs.python.org/3/",
        "library/$.html#$",
        {"class": ["pathlib.Path", "os.PathLike", "io.StringIO", "enum.Enum", "argparse.ArgumentParser"]},
    ),
    "python-builtins": (
        "https://docs.python.org/3/",
        "library/stdtypes.html#$",
        {"class": ["int", "str", "bool", "float", "complex", "list", "dict", "tuple", "set", "frozenset", "slice"]},
    ),
    "python-functions": ("https://docs.python.org/3/", "library/functions.html#$", {"class": ["object", "type"]}),
    "python-constants": ("https://docs.python.org/3/", "library/constants.html#$", {"data": ["None", "Ellipsis"]}),
    "python-exceptions": (
        "https://docs.python.org/3/",
        "library/exceptions.html#$",
        {
            "exception": [
                "Exception",
                "FileExistsError",
                "FileNotFoundError",
                "KeyError",
                "ImportError",
                "RuntimeError",
                "RuntimeWarning",
                "TypeError",
                "UserWarning",
                "ValueError",
                "NotImplementedError",
                "FloatingPointError",
                "ArithmeticError",
                "AttributeError",
                "OSError",
                "IndexError",
                "MemoryError",
                "OverflowError",
            ]
        },
    ),
    "python-typing": (
        "https://docs.python.org/3/",
        "library/typing.html#$",
        {
            "class": ["typing.TypeVar", "typing.NamedTuple", "typing.Protocol"],
            "data": ["typing.Any", "typing.Literal", "typing.Self", "typing.Union", "typing.Optional"],
        },
    ),
    "python-abc": (
        "https://docs.python.org/3/",
        "library/collections.abc.html#$",
        {"class": [f"collections.abc.{n}" for n in ("Callable", "Iterable", "Iterator", "Mapping", "Sequence")]},
    ),
    "scanpy": (
        "https://scanpy.readthedocs.io/en/stable/",
        "generated/$.html#$",
        {"function": ["scanpy.datasets.pbmc68k_reduced", "scanpy.pl.dotplot", "scanpy.pl.heatmap", "scanpy.tl.dpt"]},
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy/",
        "reference/generated/$.html#$",
        {"class": [f"scipy.sparse.{n}" for n in ("csr_matrix", "csc_matrix", "csr_array", "sparray", "spmatrix")]},
    ),
    "scvi-tools": (
        "https://docs.scvi-tools.org/en/stable/",
        "api/reference/$.html#$",
        {"class": ["scvi.model.SCVI", "scvi.model.base.BaseModelClass", "scvi.data.AnnDataManager"]},
    ),
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        "generated/$.html#$",
        {
            "class": ["torch.Generator", "torch.nn.Module", "torch.optim.Optimizer"],
            "function": ["torch.set_num_threads"],
        },
    ),
    "torch-tensors": ("https://docs.pytorch.org/docs/stable/", "tensors.html#$", {"class": ["torch.Tensor"]}),
    "torch-attributes": (
        "https://docs.pytorch.org/docs/stable/",
        "tensor_attributes.html#$",
        {"class": ["torch.dtype", "torch.device"]},
    ),
}
"""Address, page of a name (``$`` stands for it), and names by kind."""


def write(folder: Path) -> dict[str, tuple[str, tuple[str | None, ...]]]:
    """Write an inventory for each address; return the mapping that Sphinx reads, without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, list[str]] = {}
    for project, (address, page, kinds) in PROJECTS.items():
        for kind, names in kinds.items():
            for name in names:
                target = page.replace("$.html", f"{name.split('.')[0] if project == 'python' else name}.html")
                entry = f"{name} py:{kind} 1 {target.replace('#$', '#' + name)} -\n"
                entries.setdefault(address, []).append(entry)
    mapping = {}
    for address, lines in entries.items():
        project = next(name for name, (other, *_) in PROJECTS.items() if other == address)
        header = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        header += "# The remainder of this file is compressed using zlib.\n"
        path = folder / f"{project}.inv"
        path.write_bytes(header.encode() + zlib.compress("".join(lines).encode()))
        mapping[project] = (address, (str(path),))
    return mapping


def online(mapping: dict) -> dict:
    """The same mapping that reads the projects' own inventories first."""
    return {project: (address, (None, *local)) for project, (address, local) in mapping.items()}
