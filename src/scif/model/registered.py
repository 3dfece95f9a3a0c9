"""Registered counts as a data set of the count method."""

from __future__ import annotations

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from scif.counts.data.dataset import CountDataset
from scif.model.controls import KEY

__all__ = ["registered_counts"]


def registered_counts(
    manager: AnnDataManager, *, genes: np.ndarray | None = None, factor_unit: float | None = None
) -> CountDataset:
    """Counts of a registered AnnData.

    Parameters
    ----------
    manager
        Its manager.
    genes
        Columns of the data in the order of the model's genes; None if they are in order.
    factor_unit
        Counts per unit of size factor; None if there are no size factors.
    """
    codes = manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY).ravel().astype(np.int64)
    state = manager.get_state_registry(REGISTRY_KEYS.X_KEY)
    names = np.asarray(state["column_names"], dtype=str)
    controls = np.flatnonzero(np.isin(names if genes is None else names[genes], list(state.get(KEY, []))))
    has_factors = REGISTRY_KEYS.SIZE_FACTOR_KEY in manager.data_registry and factor_unit is not None
    return CountDataset(
        manager.get_from_registry(REGISTRY_KEYS.X_KEY),
        batch=codes if manager.summary_stats.n_batch > 1 else None,
        size_factor=manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY).ravel() if has_factors else None,
        factor_unit=factor_unit,
        genes=genes,
        controls=controls if len(controls) else None,
    )
