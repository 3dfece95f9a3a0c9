"""``scif demo``: the whole way on real counts, in a minute."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from rich.table import Table

__all__ = ["add_arguments", "run"]

MARKERS = ("LYZ", "NKG7", "CD79A", "CD3D")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for denoised.h5ad and denoised.png")
    parser.add_argument(
        "--quick", action="store_true", help="train for ten epochs and skip UMAP, to check the installation"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split and of the model (default: 0)")


def run(arguments: Namespace) -> None:
    """Score on held-out molecules, then denoise all molecules and draw."""
    from rich.console import Console

    from scif.datasets import pbmc68k_counts
    from scif.pl import denoising

    if arguments.out.exists() and not arguments.out.is_dir():
        msg = f"--out {arguments.out} is a file; give the path of a folder."
        raise ValueError(msg)
    console = Console()
    adata = pbmc68k_counts()
    console.print(f"{adata.n_obs} blood cells x {adata.n_vars} genes, {int(adata.X.sum()):,} molecules")
    max_epochs = 10 if arguments.quick else None

    console.print("Scoring on held-out molecules (90% to train on, 10% to score) ...")
    console.print(_table(_scores(adata, arguments.seed, max_epochs)))

    console.print("Denoising all molecules ...")
    adata.layers["denoised"] = _denoise(adata, arguments.seed, max_epochs)
    figure = denoising(adata, MARKERS, color="bulk_labels", basis="pca" if arguments.quick else "umap", return_fig=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    adata.write_h5ad(arguments.out / "denoised.h5ad")
    figure.savefig(arguments.out / "denoised.png", dpi=200)
    console.print(f"Wrote {arguments.out / 'denoised.h5ad'} (layer 'denoised') and {arguments.out / 'denoised.png'}")


def _denoise(adata: AnnData, seed: int, max_epochs: int | None) -> np.ndarray:
    from scif.cli._training import train

    return train(adata.copy(), seed=seed, max_epochs=max_epochs).get_denoised()


def _scores(adata: AnnData, seed: int, max_epochs: int | None) -> pd.DataFrame:
    import scif.model  # noqa: F401  (loading it is not the method's time)
    from scif.metrics import molecular_cross_validation, pooled_profile, truncated_svd

    methods = {
        "no denoising": lambda train: train.X,
        "pooled profile": lambda train: pooled_profile(train.X),
        "truncated SVD, rank 20": lambda train: truncated_svd(train.X),
        "ICM": lambda train: _denoise(train, seed, max_epochs),
    }
    return molecular_cross_validation(adata, methods, n_splits=1, baselines=False, seed=seed).to_frame()


def _table(scores: pd.DataFrame) -> Table:
    from rich.table import Table

    table = Table("method", caption="Poisson negative log-likelihood of held-out molecules; lower is better")
    table.add_column("held-out NLL", justify="right")
    table.add_column("seconds", justify="right")
    for name, row in scores.iterrows():
        best = "bold" if row["poisson_nll"] == scores["poisson_nll"].min() else None
        table.add_row(str(name), f"{row['poisson_nll']:.5f}", f"{row['seconds']:.1f}", style=best)
    return table
