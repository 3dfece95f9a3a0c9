"""An opened image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ImageFile"]


@dataclass(frozen=True)
class ImageFile:
    """An image file opened for reading, which can be used instead of its path.

    Parameters
    ----------
    path
        Path of the file; if there are several, the one that was opened.
    source
        A lazy array.
    axes
        One letter per axis, if the file names them.
    keep
        Metadata of the file that results keep.
    series
        Number of the image in a file with several; None for all.
    members
        All files with pixels, if there are several.
    writes_tiff
        True if ``keep`` is for a TIFF.
    """

    path: Path
    source: Any
    axes: str | None
    keep: Mapping[str, Any] = field(default_factory=dict)
    series: int | None = None
    members: tuple[Path, ...] = ()
    writes_tiff: bool = True
