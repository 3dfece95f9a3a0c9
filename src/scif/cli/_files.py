"""Checks of the files that a command writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["check_apart", "check_free"]


def check_apart(written: Mapping[str, Path | None], read: Iterable[Path | None]) -> None:
    """Raise if an output is also an input, or if two outputs are one file. ``--overwrite`` does not change this.

    Parameters
    ----------
    written
        Output files, by the option that names them.
    read
        Input files.

    Raises
    ------
    FileExistsError
        If two paths are the same file, also under another name or link.
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


def check_free(path: Path | None, *, overwrite: bool) -> None:
    """Raise if a file that will be written already exists, or if its folder does not.

    Parameters
    ----------
    path
        The file; None if the option was not given.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    IsADirectoryError
        If the path is a folder.
    FileExistsError
        If the file exists and must not be replaced.
    FileNotFoundError
        If the folder does not exist.
    """
    if path is None:
        return
    if path.is_dir():
        msg = f"{path} is a folder; give the name of a file."
        raise IsADirectoryError(msg)
    if path.exists() and not overwrite:
        msg = f"{path} exists already; move it, choose another name or pass --overwrite."
        raise FileExistsError(msg)
    if not path.parent.is_dir():
        msg = f"the folder {path.parent} of {path.name} does not exist; create it first."
        raise FileNotFoundError(msg)


def _place(path: Path) -> object:
    """Identity of a file, the same under all its names and links."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino
