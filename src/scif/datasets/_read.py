"""Counts from the files that users have."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scif._extras import require

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["FORMATS", "read_counts"]

FORMATS = (
    ".h5ad, .zarr, .h5mu (one modality), 10x Genomics .h5, a folder with matrix.mtx, barcodes.tsv and features.tsv or "
    "genes.tsv (.gz or not), .loom"
)
"""Formats that :func:`read_counts` reads, in words."""

GENES = "Gene Expression"
"""Name of genes at 10x Genomics in ``feature_types``."""


def read_counts(
    path: Path | str, *, modality: str | None = None, genome: str | None = None, feature_type: str | None = None
) -> AnnData:
    """Read a count matrix from any of the common single-cell formats.

    The format of an HDF5 file or a folder is detected from its content, not its name. The function uses the readers of
    anndata, mudata, scanpy, loompy and SciPy.

    Parameters
    ----------
    path
        An ``.h5ad``, ``.zarr``, ``.h5mu``, ``.loom`` or 10x Genomics ``.h5`` file, or a folder with ``matrix.mtx``,
        ``barcodes.tsv`` and ``features.tsv`` or ``genes.tsv``, compressed or not.
    modality
        Modality to read. Optional if there is only one, or one named ``"rna"``.
    genome
        Genome to read from a 10x file with several genomes; default all.
    feature_type
        Feature type to read from a 10x file with several; default ``"Gene Expression"``.

    Returns
    -------
    AnnData with the stored counts in ``X``, cells x genes. Gene names are made unique.

    Raises
    ------
    ValueError
        If the format is not supported, the file is damaged or cut short, or the modality, genome or feature type does
        not exist.
    FileNotFoundError
        If the path does not exist.
    ImportError
        If the file is ``.loom`` and loompy is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from scif.datasets import read_counts, simulate_counts
    >>> path = f"{tempfile.mkdtemp()}/counts.h5ad"
    >>> simulate_counts(20, 10, seed=0).write_h5ad(path)
    >>> read_counts(path).shape
    (20, 10)
    """
    path = Path(path)
    if not path.exists():
        msg = f"{path} does not exist; give the path of counts: {FORMATS}."
        raise FileNotFoundError(msg)
    with _whole(path):
        kind = _kind(path)
    given = {"modality": (modality, ("mudata",)), "genome": (genome, ("10x", "10x-legacy", "mtx"))}
    given["feature_type"] = (feature_type, ("10x", "mtx"))
    for name, (value, kinds) in given.items():
        if value is not None and kind not in kinds:
            msg = f"{name} is {value!r}, but {path.name} holds counts of one kind; leave {name} out."
            raise ValueError(msg)
    with _whole(path):
        adata = _read(path, kind, modality, genome, feature_type)
    if not adata.var_names.is_unique:
        adata.var_names_make_unique()
    return adata


def _read(path: Path, kind: str, modality: str | None, genome: str | None, feature_type: str | None) -> AnnData:
    if kind == "mudata":
        return _read_modality(path, modality)
    if kind in ("10x", "10x-legacy"):
        return _choose(_read_10x(path, genome, legacy=kind == "10x-legacy"), path, genome, feature_type)
    if kind == "mtx":
        return _choose(_read_mtx(path), path, genome, feature_type)
    return _read_plain(path, kind)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Name a file that is cut short or damaged, whatever a library that reads it says; what scif says stays."""
    try:
        yield
    except (MemoryError, ImportError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        if _said_here(error):
            raise
        msg = (
            f"{path} cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:200]}); it is cut short, "
            "damaged, or of another format. Copy or write it again."
        )
        raise ValueError(msg) from error


def _said_here(error: BaseException) -> bool:
    """Whether an error was raised in this file."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename == __file__


def _kind(path: Path) -> str:
    """The format, by content."""
    if path.is_dir():
        if (path / "zarr.json").exists() or (path / ".zgroup").exists():
            import zarr

            found = str(zarr.open_group(path, mode="r").attrs.get("encoding-type", ""))
            return "mudata" if found.lower() == "mudata" else "zarr"
        if _matrices(path):
            return "mtx"
    elif path.name.endswith((".mtx", ".mtx.gz")):
        return "mtx"
    else:
        import h5py

        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return _kind_of_hdf5(file, path)
    msg = f"{path} has no supported format. Supported are: {FORMATS}."
    raise ValueError(msg)


def _kind_of_hdf5(file: Any, path: Path) -> str:
    keys = set(file)
    if "mod" in keys:
        return "mudata"
    if {"obs", "var"} <= keys:
        return "h5ad"
    if "matrix" in keys and {"row_attrs", "col_attrs"} <= keys:
        return "loom"
    if "matrix" in keys and hasattr(file["matrix"], "keys") and {"data", "indptr", "barcodes"} <= set(file["matrix"]):
        return "10x"
    if keys and all(hasattr(file[key], "keys") and {"barcodes", "genes"} <= set(file[key]) for key in keys):
        return "10x-legacy"
    msg = (
        f"{path} holds {', '.join(sorted(keys)) or 'nothing'}, which has no supported format. Supported are: {FORMATS}."
    )
    raise ValueError(msg)


def _read_plain(path: Path, kind: str) -> AnnData:
    import anndata

    if kind == "loom":
        require("loompy", extra="loom", purpose=f"reading {path.name}")
        return anndata.io.read_loom(path, X_name="")
    return anndata.read_zarr(path) if kind == "zarr" else anndata.read_h5ad(path)


def _read_modality(path: Path, modality: str | None) -> AnnData:
    import mudata

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="mudata")
        data = mudata.read_zarr(path) if path.is_dir() else mudata.read_h5mu(path)
    names = list(data.mod)
    if modality is None:
        modality = names[0] if len(names) == 1 else "rna"
        if modality not in names:
            msg = f"{path.name} holds the modalities {', '.join(names)}; choose one with modality."
            raise ValueError(msg)
    if modality not in names:
        msg = f"modality is {modality!r}, which {path.name} does not hold; choose one of {', '.join(names)}."
        raise ValueError(msg)
    return data.mod[modality].copy()


def _read_10x(path: Path, genome: str | None, *, legacy: bool) -> AnnData:
    import h5py
    import scanpy as sc

    if legacy:
        with h5py.File(path, "r") as file:
            genomes = sorted(file)
        if genome is None and len(genomes) > 1:
            msg = f"{path.name} holds the genomes {', '.join(genomes)}; choose one with genome."
            raise ValueError(msg)
        _check_one("genome", genome, genomes, path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Variable names are not unique")
        return sc.read_10x_h5(path, genome=genome if legacy else None, gex_only=False)


def _matrices(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*matrix.mtx"), *folder.glob("*matrix.mtx.gz")])


def _read_mtx(path: Path) -> AnnData:
    """A folder as Cell Ranger 2 and 3, STARsolo and others write it."""
    import scipy.io
    from anndata import AnnData
    from scipy import sparse

    found = _matrices(path) if path.is_dir() else [path]
    if len(found) > 1:
        msg = f"{path} holds {', '.join(one.name for one in found)}; give the path of one of them."
        raise ValueError(msg)
    matrix = found[0]
    prefix = matrix.name.removesuffix(".gz").removesuffix("matrix.mtx")
    features = _table(matrix.parent, prefix, ("features.tsv", "genes.tsv"))
    barcodes = _table(matrix.parent, prefix, ("barcodes.tsv",))
    counts = sparse.csr_matrix(scipy.io.mmread(matrix).T)
    if counts.shape != (len(barcodes), len(features)):
        msg = (
            f"{matrix} holds {counts.shape[0]} cells x {counts.shape[1]} features, but the lists next to it name "
            f"{len(barcodes)} cells and {len(features)} features; these files do not belong together."
        )
        raise ValueError(msg)
    adata = AnnData(counts)
    adata.obs_names = barcodes[0].astype(str).to_numpy()
    adata.var_names = features[min(1, features.shape[1] - 1)].astype(str).to_numpy()
    adata.var["gene_ids"] = features[0].astype(str).to_numpy()
    if features.shape[1] > 2:
        adata.var["feature_types"] = features[2].astype(str).to_numpy()
    return adata


def _table(folder: Path, prefix: str, names: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    for name in names:
        for suffix in ("", ".gz"):
            path = folder / f"{prefix}{name}{suffix}"
            if path.exists():
                with gzip.open(path, "rt") if suffix else path.open() as file:
                    return pd.read_csv(file, sep="\t", header=None, dtype=str, keep_default_na=False)
    msg = f"{folder} has no {prefix}{' or '.join(names)} (.gz or not), which belongs to {prefix}matrix.mtx."
    raise FileNotFoundError(msg)


def _check_one(name: str, value: str | None, there: list[str], path: Path) -> None:
    if value is not None and value not in there:
        msg = f"{name} is {value!r}, which {path.name} does not hold; choose one of {', '.join(there) or 'none'}."
        raise ValueError(msg)


def _choose(adata: AnnData, path: Path, genome: str | None, feature_type: str | None) -> AnnData:
    """The features of one kind, and of one genome if it is given; a guess is said once."""
    if "feature_types" in adata.var:
        kinds = sorted(set(adata.var["feature_types"].astype(str)))
        _check_one("feature_type", feature_type, kinds, path)
        wanted = feature_type or (GENES if GENES in kinds else kinds[0] if len(kinds) == 1 else None)
        if wanted is None:
            msg = f"{path.name} holds features of the kinds {', '.join(kinds)}; choose one with feature_type."
            raise ValueError(msg)
        if feature_type is None and len(kinds) > 1:
            others = ", ".join(kind for kind in kinds if kind != wanted)
            warnings.warn(
                f"{path.name} also holds {others}, which is ignored; feature_type selects another kind.",
                UserWarning,
                stacklevel=4,
            )
        adata = adata[:, adata.var["feature_types"].astype(str) == wanted].copy()
    elif feature_type is not None:
        msg = f"feature_type is {feature_type!r}, but {path.name} does not state the kind of its features."
        raise ValueError(msg)
    if "genome" not in adata.var:
        return adata
    genomes = sorted(set(adata.var["genome"].astype(str)))
    _check_one("genome", genome, genomes, path)
    if genome is not None:
        return adata[:, adata.var["genome"].astype(str) == genome].copy()
    if len(genomes) > 1:
        warnings.warn(
            f"{path.name} holds genes of {', '.join(genomes)}, all of which are kept; genome selects one.",
            UserWarning,
            stacklevel=4,
        )
    return adata
