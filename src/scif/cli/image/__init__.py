"""``scif image``: denoise image files, measure their noise, score results, report on own data."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace

__all__ = ["add_arguments", "run"]

_ACTIONS = {
    "denoise": "train on noisy images and write denoised images next to them",
    "calibrate": "measure the kind and parameters of the noise",
    "evaluate": "score images against the truth",
    "report": "evaluate a trained model without clean images, as an HTML page",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="action", required=True, help="what to do")
    for name, summary in _ACTIONS.items():
        part = actions.add_parser(name, help=summary, description=summary)
        importlib.import_module(f"scif.cli.image.{name}").add_arguments(part)


def run(arguments: Namespace) -> None:
    """Do what was asked for."""
    importlib.import_module(f"scif.cli.image.{arguments.action}").run(arguments)
