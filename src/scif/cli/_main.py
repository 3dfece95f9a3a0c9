"""Entry point: find the command, run it, report errors in one line."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from scif import __version__
from scif.cli._output import Output, describe, show_warnings_in_one_line
from scif.cli._signals import Interrupted, watching

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "convert-model": "Convert a model that an earlier version of scif saved as a pickle.",
    "demo": "Denoise the blood cells that come with scanpy, score the result and draw a figure.",
    "denoise": "Denoise counts from .h5ad, .zarr, .h5mu, .loom and 10x .h5 files or 10x matrix folders.",
    "evaluate": "Score denoised counts on held-out molecules and compare with simple methods.",
    "fluid": "Recover the initial fields of a flow, simulate flows and score results.",
    "image": "Denoise image files, measure their noise and score results.",
    "report": "Write an HTML report on denoised counts: losses, coverage, over-smoothing.",
    "simulate": "Simulate counts with known expectation.",
}
"""Names of the commands, which are modules of ``scif.cli`` (with ``_`` for ``-``), and their summaries."""

INPUT_ERROR = 2
"""Exit status for anything wrong with what was given, as argparse has it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status.

    The status is 0 for success, 2 for bad input (with one line on standard error), 1 for a bug in scif, 130 for Ctrl-C
    and 143 for SIGTERM.

    Parameters
    ----------
    arguments
        Command line arguments; default those of the process.

    Examples
    --------
    >>> from scif.cli import main
    >>> main(["denoise", "absent.h5ad", "out.h5ad"])
    2
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    common = _common()
    given, rest = common.parse_known_args(words)
    parsed = _parser(common).parse_args(rest)
    vars(parsed).update(vars(given))
    parsed.output_to = Output(quiet=given.quiet, as_json=given.json)
    with warnings.catch_warnings(), watching() as signals:
        parsed.signals = signals
        show_warnings_in_one_line(parsed.command)
        if given.quiet:
            warnings.simplefilter("ignore")
        return _run(parsed)


def _run(parsed: argparse.Namespace) -> int:
    """The status of a command that was parsed."""
    signals, seed = parsed.signals, getattr(parsed, "seed", 0)
    if isinstance(seed, int) and not 0 <= seed < 2**63:
        return _fail(parsed, f"error: --seed is {seed}; it must be a whole number from 0 to 2**63 - 1.", INPUT_ERROR)
    try:
        _module(parsed.command).run(parsed)
    except Interrupted:
        return _fail(parsed, "interrupted; nothing was written.", signals.status)
    except (ValueError, OSError, KeyError, ImportError) as error:
        if parsed.debug:
            traceback.print_exc()
        return _fail(parsed, f"error: {describe(error)}", signals.status or INPUT_ERROR)
    except KeyboardInterrupt:
        return _fail(parsed, "interrupted; nothing was written.", signals.status or 130)
    except SystemExit as error:  # Lightning's, after Ctrl-C
        return signals.status or (error.code if isinstance(error.code, int) else 1)
    except Exception as error:  # noqa: BLE001 (the last resort of a command line)
        if parsed.debug:
            traceback.print_exc()
        text = describe(error)
        if "disk is full" in text:
            return _fail(parsed, f"error: {text}", INPUT_ERROR)
        return _fail(parsed, f"{type(error).__name__}: {text} (--debug shows where)", signals.status or 1)
    return int(signals.status)


def _module(command: str) -> Any:
    return importlib.import_module(f"scif.cli.{command.replace('-', '_')}")


def _fail(parsed: argparse.Namespace, text: str, status: int) -> int:
    sys.stderr.write(f"scif {parsed.command}: {text}\n")
    return status


def _common() -> argparse.ArgumentParser:
    """Options of every command, which may stand anywhere."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _parser(common: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scif", description="Remove measurement noise. scif learns from the noisy data alone.", parents=[common]
    )
    parser.add_argument("--version", action="version", version=f"scif {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary, parents=[common])
        _module(name).add_arguments(sub)
    return parser
