"""The command line: ``scif demo``, ``scif denoise``, ``scif image``.

Each command is a module of this package with ``add_arguments(parser)`` and ``run(arguments)``; a new command is one
such file and one line in ``COMMANDS``.
"""

from __future__ import annotations

from scif.cli._clash import warn_of_clash

warn_of_clash()  # first of all: what follows fails where the other project lies over this one

from scif.cli._main import COMMANDS, main  # noqa: E402

__all__ = ["COMMANDS", "main"]
