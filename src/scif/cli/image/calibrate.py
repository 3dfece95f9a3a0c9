"""``scif image calibrate``: kind and parameters of the noise, as text, plot and file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from scif.cli.image.common import FORMATS, add_common, check_free, opened, say

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("images", nargs="+", type=Path, help=FORMATS)
    add_common(parser)
    parser.add_argument("--repeats", action="store_true", help="the images are repeated exposures of one static scene")
    parser.add_argument("--offset", type=float, help="pixel value that the camera records in the dark, if known")
    parser.add_argument("--out", type=Path, help=".json file for the parameters, to use with `denoise --noise`")
    parser.add_argument("--plot", type=Path, help="file for the plots, .png or .pdf")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def run(arguments: Namespace) -> None:
    """Measure every channel."""
    from scif.fields.images import calibrate_files, write_noise

    check_free(arguments.out, overwrite=arguments.overwrite)
    check_free(arguments.plot, overwrite=True)
    found = calibrate_files(
        opened(arguments.images, arguments),
        axes=arguments.axes,
        ndim=arguments.ndim,
        repeats=arguments.repeats,
        offset=arguments.offset,
    )
    for channel, one in enumerate(found):
        say(f"channel {channel}: {one}" if len(found) > 1 else str(one))
        if arguments.plot is not None:
            drawn: Any = one.plot()
            path = arguments.plot
            path = path.with_stem(f"{path.stem}_{channel}") if len(found) > 1 else path
            getattr(drawn, "figure", drawn).savefig(path, dpi=150)
            say(f"Wrote {path}")
    if arguments.out is not None:
        write_noise(arguments.out, found, overwrite=arguments.overwrite)
        say(f"Wrote {arguments.out}")
