"""``scif image evaluate``: scores of images against the truth."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from scif.cli.image.common import add_common, check_positive, opened

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("truth", type=Path, help="clean image")
    parser.add_argument("images", nargs="+", type=Path, help="images to score, of the same shape")
    add_common(parser)
    parser.add_argument("--data-range", type=float, help="peak value, such as 255 (default: the range of the truth)")


def run(arguments: Namespace) -> None:
    """Score every image and print a table."""
    from rich.console import Console
    from rich.table import Table

    from scif.fields.images import SCORES, score_images

    check_positive(arguments, "data_range")
    truth, *images = opened([arguments.truth, *arguments.images], arguments)
    table = Table("image", *SCORES, caption="PSNR in decibels; resolution in pixels, by Fourier ring correlation")
    for one in images:
        scores = score_images(truth, one, axes=arguments.axes, ndim=arguments.ndim, data_range=arguments.data_range)
        table.add_row(one.path.name, *(f"{scores[name]:.4g}" for name in SCORES))
    Console().print(table)
