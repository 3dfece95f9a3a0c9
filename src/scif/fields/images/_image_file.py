"""An opened image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ImageFile"]


@dataclass(frozen=True)
class ImageFile:
    """An image file opened for reading, which takes the place of its path.

    Parameters
    ----------
    path
        The file, or the one of several that was named.
    source
        A lazy array.
    axes
        One letter for each axis, where the file names them.
    keep
        What a result shall have of the file.
    series
        Which image of a file that holds several; ``None`` for all there are.
    members
        All files that the pixels lie in, where these are several.
    writes_tiff
        Whether ``keep`` is for a TIFF.
    """

    path: Path
    source: Any
    axes: str | None
    keep: Mapping[str, Any] = field(default_factory=dict)
    series: int | None = None
    members: tuple[Path, ...] = ()
    writes_tiff: bool = True
