"""``scif image calibrate``: kind and parameters of the noise, as text, plot and file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from scif.cli._files import check_apart, check_free
from scif.cli.image.common import FORMATS, add_common, files_of, opened, say

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
    check_free(arguments.plot, overwrite=arguments.overwrite)
    images = opened(arguments.images, arguments)
    check_apart({"--out": arguments.out, "--plot": arguments.plot}, files_of(images))
    found = calibrate_files(
        images,
        axes=arguments.axes,
        ndim=arguments.ndim,
        repeats=arguments.repeats,
        offset=arguments.offset,
    )
    plots = [_plot_of(arguments.plot, channel, len(found)) for channel in range(len(found))]
    check_apart({f"--plot of channel {k}": path for k, path in enumerate(plots)}, [*files_of(images), arguments.out])
    for path in plots:
        check_free(path, overwrite=arguments.overwrite)
    for channel, one in enumerate(found):
        say(f"channel {channel}: {one}" if len(found) > 1 else str(one))
        if (plot := plots[channel]) is not None:
            drawn: Any = one.plot()
            getattr(drawn, "figure", drawn).savefig(plot, dpi=150)
            say(f"Wrote {plot}")
    if arguments.out is not None:
        write_noise(arguments.out, found, overwrite=arguments.overwrite)
        say(f"Wrote {arguments.out}")


def _plot_of(path: Path | None, channel: int, channels: int) -> Path | None:
    """The file for the plots of a channel, numbered where there are several."""
    return path if path is None or channels == 1 else path.with_stem(f"{path.stem}_{channel}")
