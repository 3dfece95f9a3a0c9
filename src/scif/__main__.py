"""``python -m scif``: the same as the ``scif`` command."""

from __future__ import annotations

import sys

from scif.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
