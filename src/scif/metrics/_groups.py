"""Groups of cells, as labels or as booleans."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["as_labels", "two_groups"]


def as_labels(labels: Any, n: int, *, name: str = "labels") -> np.ndarray:
    """One label per cell, once there are as many as cells and none is missing."""
    found = np.asarray(labels)
    if found.shape != (n,):
        msg = f"{name} has shape {found.shape}; pass one label for each of the {n} cells."
        raise ValueError(msg)
    missing = np.array([value is None or value != value for value in found.tolist()], dtype=bool)
    if missing.any():
        msg = f"{name} is missing for {int(missing.sum())} cells; leave these cells out."
        raise ValueError(msg)
    return found


def two_groups(groups: Any, n: int, *, group: Any, reference: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a group and of its reference (all others if not given), as booleans; each has two cells or more."""
    labels = as_labels(groups, n, name="groups")
    one = labels == group
    other = ~one if reference is None else labels == reference
    for name, value, cells in (("group", group, one), ("reference", reference, other)):
        if cells.sum() < 2:
            known = list(np.unique(labels)[:10])
            msg = f"{name} {value!r} has {int(cells.sum())} cells; at least two are needed (labels are {known})."
            raise ValueError(msg)
    return one, other
