"""Entry point: find the command, run it, report errors in one line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from scif import __version__

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": "Denoise real blood cells that come with scanpy, score the result, draw a figure.",
    "denoise": "Denoise the counts of an .h5ad file.",
    "fluid": "Recover initial from final fields of a flow, simulate flows, score results.",
    "image": "Denoise image files, measure their noise, score results.",
}
"""Name of the module in ``scif.cli`` and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    Parameters
    ----------
    arguments
        Words of the command line; those of the process if not given.

    Examples
    --------
    >>> from scif.cli import main
    >>> main(["denoise", "absent.h5ad", "out.h5ad"])
    2
    """
    parser = argparse.ArgumentParser(
        prog="scif", description="Remove measurement noise, learning from noisy data alone."
    )
    parser.add_argument("--version", action="version", version=f"scif {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        importlib.import_module(f"scif.cli.{name}").add_arguments(sub)
    parsed = parser.parse_args(arguments)
    try:
        importlib.import_module(f"scif.cli.{parsed.command}").run(parsed)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"scif {parsed.command}: error: {error}\n")
        return 2
    return 0
