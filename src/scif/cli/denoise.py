"""``scif denoise``: counts of an .h5ad file in, the same file with a denoised layer out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

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
    parser.add_argument("--output-layer", default="denoised", help="name of the new layer (default: denoised)")
    parser.add_argument("--save-model", type=Path, help="folder to save the trained model in")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists already")


def run(arguments: Namespace) -> None:
    """Check the paths, train, denoise, write."""
    _check_paths(arguments)

    from anndata import read_h5ad
    from rich.console import Console

    adata = read_h5ad(arguments.input)
    if arguments.output_layer in adata.layers:
        msg = f"{arguments.input} already has a layer {arguments.output_layer!r}; choose another --output-layer."
        raise ValueError(msg)

    from scif.cli._training import train

    model = train(
        adata.copy(),  # setup leaves bookkeeping in obs and uns that does not belong in the output
        noise=arguments.noise,
        seed=arguments.seed,
        max_epochs=arguments.max_epochs,
        accelerator=arguments.accelerator,
        layer=arguments.layer,
        batch_key=arguments.batch_key,
        size_factor_key=arguments.size_factor_key,
    )
    adata.layers[arguments.output_layer] = model.get_denoised()
    adata.write_h5ad(arguments.output)
    if arguments.save_model is not None:
        model.save(str(arguments.save_model), overwrite=arguments.overwrite)
    Console().print(f"Wrote {arguments.output} with layer {arguments.output_layer!r}")


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
