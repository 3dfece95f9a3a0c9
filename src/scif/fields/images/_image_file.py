"""An opened image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ImageFile"]


@dataclass(frozen=True)
class ImageFile:
    """An image file opened for reading: a lazy array, its axes where the file names them, and what to keep of it."""

    path: Path
    source: Any
    axes: str | None
    keep: Mapping[str, Any] = field(default_factory=dict)
    series: int | None = None
    """Which image of a file that holds several; ``None`` for all there are."""
    members: tuple[Path, ...] = ()
    """All files that the pixels lie in, where these are several."""
    writes_tiff: bool = True
    """Whether ``keep`` is for a TIFF."""
