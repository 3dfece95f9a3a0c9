"""Messages of Lightning that are kept quiet."""

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

_STOPPED = re.compile(r"Monitored metric .*|.*Best score: .*|.*Signaling Trainer to stop.*")
"""Lines that scvi-tools and Lightning print when training stops early; ``history`` tells it, too."""


class _Sieve:
    """Standard output without the lines that match a pattern; everything else passes as it comes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._dropped = stream, False

    def write(self, text: str) -> int:
        if _STOPPED.fullmatch(text.strip()):
            self._dropped = True
        elif not (self._dropped and text == "\n"):  # print writes the end of the line on its own
            self._dropped = False
            self._stream.write(text)
        else:
            self._dropped = False
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep Lightning from telling about the hardware, its makers' services, torch's plans and missing validation data.

    That training stops early is not printed, either. Its warnings are left as they are.
    """
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    sieve: Any = _Sieve(sys.stdout)
    try:
        with warnings.catch_warnings(), redirect_stdout(sieve):
            warnings.filterwarnings("ignore", message=".*(validation_step|LeafSpec).*")
            yield
    finally:
        logger.setLevel(level)
