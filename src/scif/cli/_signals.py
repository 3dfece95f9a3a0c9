"""Signals end a command with the status a shell expects, and leave nothing that looks finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

__all__ = ["Interrupted", "Signals", "watching"]

WATCHED = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a scheduler sends at its time limit."""


class Interrupted(BaseException):
    """A signal asked the command to end."""


@dataclass
class Signals:
    """The signals received so far.

    ``keep_partial`` makes the first of them stop the training instead of the command, as Ctrl-C does in Python.
    """

    keep_partial: bool = False
    received: list[int] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Exit status: 128 and the number of the first signal, 0 without one."""
        return 128 + self.received[0] if self.received else 0

    def check(self) -> None:
        """Raise :class:`Interrupted` if a signal came, whatever has become of what was raised then."""
        if self.received and not self.keep_partial:
            raise Interrupted

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)
        if self.keep_partial and len(self.received) == 1:
            raise KeyboardInterrupt
        raise Interrupted


@contextmanager
def watching() -> Iterator[Signals]:
    """Receive signals for as long as this lasts; in the main thread only, where Python delivers them."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.getsignal(number) for number in WATCHED}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup and the like
            signal.signal(number, signals._receive)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
