"""``scif convert-model``: a model that an earlier scif pickled, as data."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("old", type=Path, help="folder with model.pt, a pickle")
    parser.add_argument("new", type=Path, help="folder for the new model, which ICM.load can read")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="open the pickle, which runs any code in it; use it only for your own files",
    )
    parser.add_argument(
        "--counts", type=Path, help=".h5ad file that the model was trained on (default: adata.h5ad in the old folder)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing model")


def run(arguments: Namespace) -> None:
    """Convert."""
    import anndata

    from scif.model.convert import convert_model

    if (arguments.new / "model.scif").exists() and not arguments.overwrite:
        msg = f"{arguments.new} holds a model already; choose another folder or pass --overwrite."
        raise FileExistsError(msg)
    counts = None if arguments.counts is None or not arguments.trust else anndata.read_h5ad(arguments.counts)
    convert_model(arguments.old, arguments.new, adata=counts, trust=arguments.trust, overwrite=arguments.overwrite)
    arguments.output_to.result(f"Wrote {arguments.new / 'model.scif'}", output=arguments.new)
