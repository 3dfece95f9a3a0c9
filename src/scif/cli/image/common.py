"""Options that the actions share, and what they say."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

__all__ = ["FORMATS", "add_common", "check_positive", "files_of", "opened", "say"]

FORMATS = "TIFF, OME-TIFF, zarr, OME-Zarr, PNG; CZI, ND2, LIF with scif-tools[bioio]"


def add_common(parser: ArgumentParser) -> None:
    """Declare the options that every action has."""
    parser.add_argument("--axes", help="letters of the axes, such as TCZYX (default: those in the file)")
    parser.add_argument("--ndim", type=int, choices=[2, 3], default=2, help="spatial axes (default: 2)")
    parser.add_argument("--series", type=int, help="number of the image in files with several (default: all)")


def opened(paths: list[Path], arguments: Namespace) -> list[Any]:
    """The files, without their pixels."""
    from scif.fields.images import open_image

    return [open_image(path, series=arguments.series) for path in paths]


def files_of(images: list[Any]) -> list[Path]:
    """All files that opened images lie in."""
    return [path for image in images for path in (image.path, *image.members)]


def check_positive(arguments: Namespace, *names: str) -> None:
    """Raise unless options that were given are positive."""
    for name in names:
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            msg = f"--{name.replace('_', '-')} is {value}; give a positive number."
            raise ValueError(msg)


def say(text: str) -> None:
    """One line on standard output."""
    from rich.console import Console

    Console().print(text, markup=False, highlight=False, soft_wrap=True)
