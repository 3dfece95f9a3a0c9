"""Output of a command: plain lines, one JSON object, or nothing; errors in one line with a status."""

from __future__ import annotations

import errno
import json
import sys
import warnings
from typing import Any, TextIO

__all__ = ["Output", "describe", "show_warnings_in_one_line"]

#: Warnings that whoever runs a command can do nothing about.
FOR_PROGRAMMERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)


class Output:
    """Where a command puts its words.

    Parameters
    ----------
    quiet
        Say nothing but errors.
    as_json
        Print one JSON object at the end, instead of sentences.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json

    @property
    def progress(self) -> bool:
        """Whether a progress bar may be drawn: on a terminal only, a log gets plain lines."""
        return sys.stderr.isatty() and not self.quiet and not self.as_json

    def say(self, sentence: str) -> None:
        """A sentence for a reader, on standard output."""
        if not (self.quiet or self.as_json):
            sys.stdout.write(f"{sentence}\n")
            sys.stdout.flush()

    def result(self, sentence: str, **values: Any) -> None:
        """Print the result: the sentence, or the values as JSON."""
        if self.as_json:
            sys.stdout.write(json.dumps(values, default=str) + "\n")
            sys.stdout.flush()
        else:
            self.say(sentence)


def describe(error: BaseException) -> str:
    """An error in one line; a full disk in one sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full or "No space left on device" in text or "File too large" in text or "errno = 28" in text:
        return "the disk is full (or a limit on the size of files is reached), so nothing was written; free some space."
    return text


def show_warnings_in_one_line(command: str) -> None:
    """Write warnings without the path and the line of code; to be undone by ``warnings.catch_warnings``.

    Warnings of what other packages will change are for programmers, and are left out.
    """

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, FOR_PROGRAMMERS):
            sys.stderr.write(f"scif {command}: warning: {' '.join(str(message).split())}\n")

    warnings.showwarning = show
