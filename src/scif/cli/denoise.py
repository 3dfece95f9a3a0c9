"""``scif denoise``: counts in any of the usual formats in, an .h5ad file with a denoised layer out."""

from __future__ import annotations

import os
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scif.cli._files import check_apart
from scif.cli._output import describe
from scif.cli._resume import append_in_parts, trained, work_folder

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.model import ICM

__all__ = ["add_arguments", "add_input", "add_model", "read_input", "run", "whole_or_nothing"]

_METADATA = 1 << 20
"""Bytes that HDF5 may need beside the values; a file is cut to what it holds when it is closed."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_input(parser)
    parser.add_argument("output", type=Path, help=".h5ad file to write: the input plus a layer of denoised counts")
    add_model(parser)
    parser.add_argument(
        "--backed", action="store_true", help="keep the counts on disk; slower, for .h5ad files larger than memory"
    )
    parser.add_argument("--output-layer", default="denoised", help="name of the new layer (default: denoised)")
    parser.add_argument(
        "--threshold", type=float, help="drop values below this number of counts and write a sparse layer"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep the model and finished rows in OUTPUT.parts, and resume from them after an interruption",
    )
    parser.add_argument(
        "--checkpoint", type=Path, help="folder for checkpoints, one after each epoch; run the command again to resume"
    )
    parser.add_argument("--save-model", type=Path, help="folder to save the trained model in")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument(
        "--keep-partial",
        action="store_true",
        help="after Ctrl-C or SIGTERM, write the current result to NAME.partial.h5ad (the exit status is 130 or 143)",
    )


def add_input(parser: ArgumentParser) -> None:
    """Declare the options of every command that reads counts."""
    parser.add_argument("input", type=Path, help="counts: .h5ad, .zarr, .h5mu, .loom, 10x .h5 or a matrix folder")
    parser.add_argument("--layer", help="layer with the counts (default: X)")
    parser.add_argument("--modality", help="modality of an .h5mu file (default: the only one, or rna)")
    parser.add_argument("--genome", help="genome to read from a 10x file with several (default: all)")
    parser.add_argument(
        "--feature-type", help='feature type to read from a 10x file with several (default: "Gene Expression")'
    )


def add_model(parser: ArgumentParser) -> None:
    """How the model is set up and trained."""
    parser.add_argument("--batch-key", help="column of obs with the batch of each cell")
    parser.add_argument("--size-factor-key", help="column of obs with the size factor of each cell")
    parser.add_argument("--noise", choices=["nb", "poisson"], default="poisson", help="noise (default: poisson)")
    parser.add_argument(
        "--max-epochs", type=int, help="maximum number of epochs (default: depends on the number of cells)"
    )
    parser.add_argument("--accelerator", default="auto", help="cpu, gpu, mps or auto (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the model (default: 0)")


def run(arguments: Namespace) -> None:
    """Check the paths, train, denoise, write."""
    start = time.perf_counter()
    say, signals, target = arguments.output_to, arguments.signals, arguments.output
    _check_paths(arguments)
    stored = _is_h5ad(arguments.input)
    if stored:
        _check_layers(arguments)
    signals.keep_partial = arguments.keep_partial
    with _counts(arguments) as adata:
        signals.check()
        _check_space(arguments, adata)
        import scif.model  # noqa: F401  (takes seconds; a signal during it is met here)

        model = trained(arguments, adata)
        signals.check()
        if signals.received:
            target = target.with_suffix(".partial.h5ad")
        with whole_or_nothing(target) as part:
            if stored:
                shutil.copyfile(arguments.input, part)
            else:
                adata.write_h5ad(part)
            if arguments.threshold is None:
                _reserve(part, 4 * adata.n_obs * adata.n_vars + _METADATA)
            if arguments.threshold is None and not arguments.resume:
                _append(model, part, layer=arguments.output_layer, progress=say.progress)
            else:
                append_in_parts(model, part, arguments)
            signals.check()
        if arguments.save_model is not None:
            model.save(str(arguments.save_model), overwrite=arguments.overwrite)
    shutil.rmtree(work_folder(target), ignore_errors=True)
    say.result(
        f"Wrote {target} with layer {arguments.output_layer!r}"
        + (", from a training that was interrupted" if signals.received else ""),
        output=target,
        layer=arguments.output_layer,
        cells=adata.n_obs,
        genes=adata.n_vars,
        seconds=round(time.perf_counter() - start, 2),
        partial=bool(signals.received),
    )


def _is_h5ad(path: Path) -> bool:
    """Whether a file is read as it is and copied with one layer more; everything else is converted."""
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return {"obs", "var"} <= set(file) and "mod" not in file
    except PermissionError:
        raise
    except (OSError, RuntimeError) as error:
        msg = f"{path} cannot be read ({error}); it is cut short or damaged. Copy or write it again."
        raise ValueError(msg) from error


@contextmanager
def _counts(arguments: Namespace) -> Iterator[AnnData]:
    """The file's cells and genes with their counts; on disk, for as long as this lasts, if they are to stay there."""
    from anndata import AnnData
    from anndata.io import read_elem, sparse_dataset

    path, layer = arguments.input, arguments.layer
    if not arguments.backed:
        yield read_input(arguments)
        return
    import h5py

    if not _is_h5ad(path):
        msg = f"--backed was given, but {path} is not an .h5ad file, the only format that can stay on disk; omit it."
        raise ValueError(msg)
    with h5py.File(path) as file:
        try:
            stored = file["X" if layer is None else f"layers/{layer}"]  # anndata's own backed mode would read layers
            counts = stored if isinstance(stored, h5py.Dataset) else sparse_dataset(stored)
            obs, var = read_elem(file["obs"]), read_elem(file["var"])
        except Exception as error:
            msg = f"{path} cannot be read ({describe(error)}); it is cut short or damaged. Copy or write it again."
            raise ValueError(msg) from error
        yield AnnData(
            X=counts if layer is None else None, obs=obs, var=var, layers=None if layer is None else {layer: counts}
        )


def read_input(arguments: Namespace) -> AnnData:
    """The counts that the options of :func:`add_input` name."""
    from scif.datasets import read_counts

    adata = read_counts(
        arguments.input,
        modality=arguments.modality,
        genome=arguments.genome,
        feature_type=arguments.feature_type,
    )
    layer = arguments.layer
    if layer is not None and layer not in adata.layers:
        there = ", ".join(name for name in adata.layers if name is not None) or "none"
        msg = f"--layer {layer} is not in {arguments.input}, which has {there}."
        raise ValueError(msg)
    return adata


@contextmanager
def whole_or_nothing(target: Path) -> Iterator[Path]:
    """A temporary name beside the target, renamed at the end; nothing is left of it if that is not reached."""
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _reserve(path: Path, size: int) -> None:
    """Take room at the end of a file, so that a full disk is met here: HDF5 crashes where it cannot write."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), path.stat().st_size, size)


def _append(model: ICM, path: Path, *, layer: str, progress: bool) -> None:
    """Write the denoised counts as one layer more, which is never whole in memory."""
    import h5py

    with h5py.File(path, "r+") as file:
        layers = file.require_group("layers")
        layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        result = layers.create_dataset(layer, shape=(model.adata.n_obs, model.adata.n_vars), dtype="float32")
        result.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        model.get_denoised(out=result, silent=not progress)


def _check_space(arguments: Namespace, adata: AnnData) -> None:
    """Refuse before training what will not fit on the disk."""
    size = arguments.input.stat().st_size if arguments.input.is_file() else 0
    need = size + 4 * adata.n_obs * adata.n_vars  # the input again, and a float32 for each cell and gene
    free = shutil.disk_usage(arguments.output.parent).free
    if need > free:
        msg = (
            f"output {arguments.output} needs {need / 1e9:.2g} GB, but {free / 1e9:.2g} GB are free on its disk; "
            "free some space or choose another place."
        )
        raise ValueError(msg)


def _check_layers(arguments: Namespace) -> None:
    """Refuse before anything is read."""
    import h5py

    with h5py.File(arguments.input) as file:
        layers, has_x = list(file.get("layers", {})), "X" in file
    for name in ("modality", "genome", "feature_type"):
        if getattr(arguments, name) is not None:
            option = name.replace("_", "-")
            msg = f"--{option} is given, but {arguments.input} is an .h5ad file, read as it is; leave --{option} out."
            raise ValueError(msg)
    if arguments.output_layer in layers:
        msg = f"{arguments.input} already has a layer {arguments.output_layer!r}; choose another --output-layer."
        raise ValueError(msg)
    if arguments.layer is None and not has_x:
        msg = f"{arguments.input} has no X; name the layer of the counts with --layer: {', '.join(layers) or 'none'}."
        raise ValueError(msg)
    if arguments.layer is not None and arguments.layer not in layers:
        msg = f"--layer {arguments.layer} is not in {arguments.input}, which has {', '.join(layers) or 'none'}."
        raise ValueError(msg)


def _check_paths(arguments: Namespace) -> None:
    """Refuse before any work is done."""
    source, target, layer = arguments.input, arguments.output, arguments.output_layer
    if not source.exists():
        msg = f"input {source} does not exist; pass the path of counts."
        raise FileNotFoundError(msg)
    if not layer.strip() or "/" in layer or layer in (".", "..", "X"):
        msg = f"--output-layer is {layer!r}, a name that an .h5ad file cannot hold; choose one without a slash."
        raise ValueError(msg)
    if arguments.max_epochs is not None and arguments.max_epochs < 1:
        msg = f"--max-epochs is {arguments.max_epochs}; it must be at least 1."
        raise ValueError(msg)
    if arguments.threshold is not None and not 0 <= arguments.threshold < float("inf"):
        msg = f"--threshold is {arguments.threshold}; give a number of counts from zero on."
        raise ValueError(msg)
    if target.suffix != ".h5ad":
        msg = f"output {target} does not end in .h5ad; that is the only format written."
        raise ValueError(msg)
    if target.exists() and target.samefile(source):
        msg = f"output {target} is the input; choose another name: scif never overwrites the input."
        raise ValueError(msg)
    if target.exists() and not arguments.overwrite:
        msg = f"output {target} exists already; choose another name or pass --overwrite."
        raise FileExistsError(msg)
    if not target.parent.is_dir():
        msg = f"the folder {target.parent} of the output does not exist; create it first."
        raise FileNotFoundError(msg)
    if target.is_dir():
        msg = f"output {target} is a folder; choose another name."
        raise ValueError(msg)
    model = arguments.save_model
    for name, folder in (("--save-model", model), ("--checkpoint", arguments.checkpoint)):
        above = folder and next((part for part in (folder, *folder.parents) if part.exists()), None)
        if above is not None and not above.is_dir():
            msg = f"{name} {folder}: {above} is a file; give the path of a folder."
            raise ValueError(msg)
    check_apart({"output": target, "--save-model": model}, [source])
    if model is not None and model.exists() and not arguments.overwrite:
        msg = f"--save-model {model} exists already; choose another name or pass --overwrite."
        raise FileExistsError(msg)
