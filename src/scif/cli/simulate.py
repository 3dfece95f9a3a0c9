"""``scif simulate``: counts whose expectation is known, to try things on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from scif.cli.denoise import whole_or_nothing

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("output", type=Path, help=".h5ad file to write: counts in X, their expectation in layer truth")
    parser.add_argument("--cells", type=int, default=2000, help="number of cells (default: 2000)")
    parser.add_argument("--genes", type=int, default=2000, help="number of genes (default: 2000)")
    parser.add_argument("--types", type=int, default=6, help="number of cell types (default: 6)")
    parser.add_argument("--batches", type=int, default=1, help="number of batches (default: 1)")
    parser.add_argument("--depth", type=float, default=2000.0, help="mean number of molecules per cell (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws (default: 0)")
    parser.add_argument("--no-truth", action="store_true", help="omit the expectation")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(arguments: Namespace) -> None:
    """Draw and write."""
    from scif.datasets import simulate_counts

    target = arguments.output
    if target.suffix != ".h5ad":
        msg = f"output {target} does not end in .h5ad; that is the only format written."
        raise ValueError(msg)
    if target.exists() and not arguments.overwrite:
        msg = f"output {target} exists already; choose another name or pass --overwrite."
        raise FileExistsError(msg)
    adata = simulate_counts(
        arguments.cells,
        arguments.genes,
        n_types=arguments.types,
        n_batches=arguments.batches,
        trajectory=arguments.types >= 3,
        depth=arguments.depth,
        truth=not arguments.no_truth,
        seed=arguments.seed,
    )
    with whole_or_nothing(target) as part:
        adata.write_h5ad(part)
        arguments.signals.check()
    arguments.output_to.result(
        f"Wrote {target}: {adata.n_obs} cells x {adata.n_vars} genes",
        output=target,
        cells=adata.n_obs,
        genes=adata.n_vars,
    )
