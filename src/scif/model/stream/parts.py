"""Finished rows on disk: a folder of whole files, from which a run that was killed goes on."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["Parts", "write_whole"]

#: First row, row after the last, and checksum of the file.
_NAME = re.compile(r"rows-(\d{12})-(\d{12})-([0-9a-f]{8})\.np[yz]")


class Parts:
    """Rows of a layer in files of some rows each, every one complete or absent.

    Parameters
    ----------
    folder
        Where they are; made if it is not there.
    task
        Facts that decide the values of the rows; rows of another task are refused.
    shape
        Cells x genes of the whole layer.
    threshold
        Values below are dropped and the rest is kept sparse; all are kept, dense, if None.

    Raises
    ------
    ValueError
        If the folder has rows of another task, or something else in it.
    """

    def __init__(
        self, folder: Path, task: Mapping[str, Any], *, shape: tuple[int, int], threshold: float | None = None
    ) -> None:
        self.folder, self.shape, self.threshold = folder, shape, threshold
        said = folder / "task.json"
        wanted = json.loads(json.dumps(dict(task)))
        if said.exists():
            _check_task(folder, _read_task(said), wanted)
            self._drop_damaged()
        elif folder.exists() and any(folder.iterdir()):
            msg = f"the folder for unfinished rows, {folder}, has other files in it; name another one with work=."
            raise ValueError(msg)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(said, json.dumps(wanted, indent=1).encode())
        for left in folder.glob("*.tmp"):  # of the run that was killed
            left.unlink()

    @property
    def done(self) -> int:
        """Rows that are finished, from the first on."""
        return self._files()[-1][1] if self._files() else 0

    def add(self, start: int, values: np.ndarray) -> None:
        """Put rows on disk, ``values (rows, genes)`` from row ``start`` on; they are there once this returns."""
        end, held = start + len(values), io.BytesIO()
        if self.threshold is None:
            np.save(held, values)
        else:
            kept = sparse.csr_matrix(np.where(values >= max(self.threshold, np.nextafter(0, 1)), values, 0))
            np.savez(held, data=kept.data, indices=kept.indices, indptr=kept.indptr)
        data = held.getbuffer()
        suffix = "npy" if self.threshold is None else "npz"
        write_whole(self.folder / f"rows-{start:012d}-{end:012d}-{zlib.crc32(data):08x}.{suffix}", data)

    def dense(self) -> Iterator[tuple[int, np.ndarray]]:
        """First row and values of one part after the other."""
        for start, _, path in self._files():
            yield start, np.load(path, mmap_mode="r")

    def sparse(self) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """First row and values of one part after the other."""
        for start, end, path in self._files():
            with np.load(path) as held:
                values = (held["data"], held["indices"], held["indptr"])
            yield start, sparse.csr_matrix(values, shape=(end - start, self.shape[1]))

    def stored(self) -> int:
        """Values that are kept, over all parts."""
        if self.threshold is None:
            return self.shape[0] * self.shape[1]
        total = 0
        for _, _, path in self._files():
            with np.load(path) as held:
                total += int(held["indptr"][-1])
        return total

    def remove(self) -> None:
        """Delete the folder and all that is in it."""
        shutil.rmtree(self.folder)

    def _drop_damaged(self) -> None:
        """Delete files whose content is not what was written, and all rows after them: they are computed again."""
        whole = 0
        damaged: list[Path] = []
        for path in sorted(self.folder.glob("rows-*")):
            named = _NAME.fullmatch(path.name)
            is_next = named is not None and int(named[1]) == whole and not damaged
            if named is not None and is_next and f"{zlib.crc32(path.read_bytes()):08x}" == named[3]:
                whole = int(named[2])
            elif path.suffix != ".tmp":
                damaged.append(path)
        if damaged:
            warnings.warn(
                f"{damaged[0]} is damaged, or rows before it are missing; rows from {whole} on are computed again.",
                UserWarning,
                stacklevel=4,
            )
        for path in damaged:
            path.unlink()

    def _files(self) -> list[tuple[int, int, Path]]:
        """First row, row after the last, and file, without gaps."""
        named = ((_NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        found, end = [], 0
        for first, last, path in sorted((int(m[1]), int(m[2]), path) for m, path in named if m):
            if first != end:
                break
            found.append((first, last, path))
            end = last
        return found


def _read_task(path: Path) -> dict[str, Any]:
    """The facts of the run that was stopped."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        msg = f"{path} is damaged, so that nobody knows of which run the finished rows are; pass resume=False."
        raise ValueError(msg)
    return found


def _check_task(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    if old == new:
        return
    differs = next(key for key in {**old, **new} if old.get(key) != new.get(key))
    msg = (
        f"{folder} has finished rows of another run: {differs} was {old.get(differs)!r}, is {new.get(differs)!r}. "
        "Repeat that call to resume, or pass resume=False to start again."
    )
    raise ValueError(msg)


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """A file that is complete or absent."""
    part = path.with_name(f"{path.name}.tmp")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
