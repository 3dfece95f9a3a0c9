"""``scif image report``: a trained model judged on images without a truth."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from scif.cli._files import check_apart, check_free
from scif.cli.image.common import FORMATS, add_common, files_of, opened, say

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("images", nargs="+", type=Path, help=FORMATS)
    add_common(parser)
    parser.add_argument("--model", type=Path, required=True, help="a model written by `denoise --save-model`")
    parser.add_argument("--out", type=Path, required=True, help="page to write, .html")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing page")


def run(arguments: Namespace) -> None:
    """Write the page."""
    from scif.fields.images import ImageDenoiser

    check_free(arguments.out, overwrite=arguments.overwrite)
    images = opened(arguments.images, arguments)
    check_apart({"--out": arguments.out}, [*files_of(images), arguments.model])
    denoiser = ImageDenoiser.load(arguments.model)
    part = arguments.out.with_name(f"unfinished_{arguments.out.name}")
    try:
        denoiser.report(images, axes=arguments.axes).to_html(part)
        part.replace(arguments.out)
    finally:
        part.unlink(missing_ok=True)
    say(f"Wrote {arguments.out}")
