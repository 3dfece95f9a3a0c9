"""``scif evaluate``: does denoising help on these counts? Held-out molecules tell."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from scif.cli._training import train, training_options
from scif.cli.denoise import add_input, add_model, read_input

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_input(parser)
    add_model(parser)
    parser.add_argument("--splits", type=int, default=1, help="number of random splits of the molecules (default: 1)")


def run(arguments: Namespace) -> None:
    """Split the molecules, denoise one part by each method, score on the other."""
    from scif.metrics import molecular_cross_validation

    adata = read_input(arguments)
    if arguments.splits < 1:
        msg = f"--splits is {arguments.splits}; it must be at least 1."
        raise ValueError(msg)
    arguments.signals.check()
    from scif.model.checks import check_setup

    check_setup(adata, layer=arguments.layer, batch_key=arguments.batch_key, size_factor_key=arguments.size_factor_key)

    def denoised(part: AnnData) -> np.ndarray:
        model = train(part, **training_options(arguments))
        arguments.signals.check()
        return model.get_denoised(silent=True)

    found = molecular_cross_validation(
        adata, {"scif ICM": denoised}, n_splits=arguments.splits, layer=arguments.layer, seed=arguments.seed
    ).to_frame()
    columns = [name for name in ("poisson_nll", "seconds") if name in found]
    say = arguments.output_to
    say.result(
        f"Poisson negative log-likelihood of held-out molecules (lower is better)\n{found[columns].to_string()}",
        cells=adata.n_obs,
        genes=adata.n_vars,
        splits=arguments.splits,
        scores={str(name): row[columns].to_dict() for name, row in found.iterrows()},
    )
