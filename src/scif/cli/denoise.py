"""``scif denoise``: counts of an .h5ad file in, the same file with a denoised layer out."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.model import ICM

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("input", type=Path, help=".h5ad file with counts; never written to")
    parser.add_argument("output", type=Path, help=".h5ad file to write: the input and a layer of denoised counts")
    parser.add_argument("--layer", help="layer with the counts (default: X)")
    parser.add_argument("--batch-key", help="column of obs with the batch of each cell")
    parser.add_argument("--size-factor-key", help="column of obs with a size factor of each cell")
    parser.add_argument("--noise", choices=["nb", "poisson"], default="poisson", help="noise (default: poisson)")
    parser.add_argument("--max-epochs", type=int, help="upper bound on epochs (default: from the number of cells)")
    parser.add_argument("--accelerator", default="auto", help="cpu, gpu, mps or auto (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the model (default: 0)")
    parser.add_argument(
        "--backed", action="store_true", help="leave the counts on disk: slower, for files beyond memory"
    )
    parser.add_argument("--output-layer", default="denoised", help="name of the new layer (default: denoised)")
    parser.add_argument("--save-model", type=Path, help="folder to save the trained model in")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists already")


def run(arguments: Namespace) -> None:
    """Check the paths, train, denoise, write."""
    _check_paths(arguments)

    from rich.console import Console

    from scif.cli._training import train

    _check_layers(arguments)
    with _counts(arguments.input, arguments.layer, backed=arguments.backed) as adata:
        model = train(
            adata,
            noise=arguments.noise,
            seed=arguments.seed,
            max_epochs=arguments.max_epochs,
            accelerator=arguments.accelerator,
            layer=arguments.layer,
            batch_key=arguments.batch_key,
            size_factor_key=arguments.size_factor_key,
        )
        _write(model, arguments.input, arguments.output, layer=arguments.output_layer)
        if arguments.save_model is not None:
            model.save(str(arguments.save_model), overwrite=arguments.overwrite)
    Console().print(f"Wrote {arguments.output} with layer {arguments.output_layer!r}")


@contextmanager
def _counts(path: Path, layer: str | None, *, backed: bool) -> Iterator[AnnData]:
    """The file's cells and genes with their counts; on disk, for as long as this lasts, if they are to stay there."""
    from anndata import AnnData, read_h5ad
    from anndata.io import read_elem, sparse_dataset

    if not backed:
        yield read_h5ad(path)
        return
    import h5py

    with h5py.File(path) as file:
        stored = file["X" if layer is None else f"layers/{layer}"]  # anndata's own backed mode would read layers
        counts = stored if isinstance(stored, h5py.Dataset) else sparse_dataset(stored)
        yield AnnData(
            X=counts if layer is None else None,
            obs=read_elem(file["obs"]),
            var=read_elem(file["var"]),
            layers=None if layer is None else {layer: counts},
        )


def _write(model: ICM, source: Path, target: Path, *, layer: str) -> None:
    """A copy of the source with one layer more, which is never whole in memory; all of it or nothing."""
    import h5py

    part = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(source, part)
        with h5py.File(part, "r+") as file:
            layers = file.require_group("layers")
            layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
            result = layers.create_dataset(layer, shape=(model.adata.n_obs, model.adata.n_vars), dtype="float32")
            result.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
            model.get_denoised(out=result, silent=not sys.stderr.isatty())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _check_layers(arguments: Namespace) -> None:
    """Refuse before anything is read."""
    import h5py

    with h5py.File(arguments.input) as file:
        layers, has_x = list(file.get("layers", {})), "X" in file
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
    source, target = arguments.input, arguments.output
    if not source.is_file():
        msg = f"input {source} does not exist; pass the path of an .h5ad file."
        raise FileNotFoundError(msg)
    if target.suffix != ".h5ad":
        msg = f"output {target} does not end in .h5ad; that is the only format written."
        raise ValueError(msg)
    if target.exists() and target.samefile(source):
        msg = f"output {target} is the input; choose another name, the input is never written to."
        raise ValueError(msg)
    if target.exists() and not arguments.overwrite:
        msg = f"output {target} exists already; choose another name or pass --overwrite."
        raise FileExistsError(msg)
    if not target.parent.is_dir():
        msg = f"the folder {target.parent} of the output does not exist; create it first."
        raise FileNotFoundError(msg)
    model = arguments.save_model
    if model is not None and model.exists() and not arguments.overwrite:
        msg = f"--save-model {model} exists already; choose another name or pass --overwrite."
        raise FileExistsError(msg)
