"""One row of the table of bad inputs: what is given, what is said, and that the caller's data are as they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor


@dataclass(frozen=True)
class Row:
    """A bad input and the refusal that it meets."""

    name: str
    """What is wrong, and the name of the test."""
    call: Callable[[Any], Any]
    """Takes what is given."""
    error: type[Exception] | tuple[type[Exception], ...]
    """Its type, or one that it derives from."""
    says: tuple[str, ...]
    """Parts of the message: the argument, the value, the mend."""
    given: Callable[[Path], Any] | None = None
    """Makes what is given, in a folder of its own; that of the table if None."""


def arguments(where: str, make: Callable[..., Callable[[Any], Any]], table: dict[str, list[Any]]) -> list[Row]:
    """Rows of one argument each, whose name and value must be said."""
    return [
        Row(f"{where}({name}={value!r})", make(**{name: value}), (ValueError, TypeError), (name, repr(value)))
        for name, values in table.items()
        for value in values
    ]


def names(rows: list[Row]) -> list[str]:
    """Names of the tests; two rows of one name are a mistake."""
    found = [row.name for row in rows]
    assert len(set(found)) == len(found), sorted(name for name in found if found.count(name) > 1)
    return found


def refused(row: Row, given: Callable[[Path], Any], folder: Path) -> None:
    """Assert that a row is met as it says, and that neither data nor folder have changed."""
    data = (row.given or given)(folder)
    before = fingerprint(data), fingerprint(folder)
    with pytest.raises(row.error) as caught:
        row.call(data)
    message = str(caught.value)
    for part in row.says:
        assert part in message, f"{part!r} is not in {message!r}"
    assert (fingerprint(data), fingerprint(folder)) == before


def fingerprint(data: Any) -> Any:
    """What tells whether anything in data has changed."""
    if isinstance(data, np.ndarray) and data.dtype != object:
        return data.dtype.str, data.shape, hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()
    if isinstance(data, Tensor):
        return fingerprint(data.detach().cpu().numpy())
    if isinstance(data, Path):
        if data.is_dir():
            return {str(path.relative_to(data)): fingerprint(path) for path in sorted(data.rglob("*"))}
        return data.read_bytes() if data.exists() else None
    if isinstance(data, Mapping):
        return {key: fingerprint(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [fingerprint(value) for value in data]
    return repr(data)
