"""Files of a command: what it writes is nothing that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["check_apart"]


def check_apart(written: Mapping[str, Path | None], read: Iterable[Path | None]) -> None:
    """Raise where a file to be written is one that is read, or would be written twice; ``--overwrite`` or not.

    Parameters
    ----------
    written
        Files by the option that names them.
    read
        Files that stay as they are.

    Raises
    ------
    FileExistsError
        If two are one file, by another name or link, too.
    """
    inputs = {_place(path) for path in read if path is not None}
    seen: dict[object, str] = {}
    for name, path in written.items():
        if path is None:
            continue
        place = _place(path)
        if place in inputs:
            msg = f"{name} is {path}, which is an input; choose another name: scif never overwrites an input."
            raise FileExistsError(msg)
        if place in seen:
            msg = f"{name} and {seen[place]} are both {path}; give each a name of its own."
            raise FileExistsError(msg)
        seen[place] = name


def _place(path: Path) -> object:
    """What two names of one file have in common."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino
