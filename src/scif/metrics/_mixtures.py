"""RNA of cell lines mixed in known proportions must come back as that mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import nnls

from scif.metrics._matrix import check_prediction, library_sizes

__all__ = ["mixture_proportions", "mixture_r2"]


def mixture_proportions(X: Any, pure: Any) -> np.ndarray:
    """Proportions of pure profiles in each cell, by non-negative least squares on compositions.

    Genes are weighted by the inverse square root of their mean fraction in the pure profiles, as Poisson noise
    requires.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes.
    pure
        Pure profiles, ``(components, genes)``, at any depth.

    Returns
    -------
    Proportions, ``(cells, components)``, non-negative, with rows that sum to one. A cell that fits no component gets
    equal proportions.

    Raises
    ------
    ValueError
        If shapes do not agree, or if a pure profile is empty.

    Examples
    --------
    >>> from scif.metrics import mixture_proportions
    >>> mixture_proportions([[30, 50, 20]], [[6, 2, 2], [0, 8, 2]]).round(3).tolist()
    [[0.5, 0.5]]
    """
    X = check_prediction(X, np.shape(X), name="X")
    profiles = np.asarray(pure, dtype=np.float64)
    if profiles.ndim != 2 or profiles.shape[1] != X.shape[1] or not bool((profiles.sum(axis=1) > 0).all()):
        msg = f"pure has shape {profiles.shape}; pass components x {X.shape[1]} genes, each with counts."
        raise ValueError(msg)
    profiles = profiles / profiles.sum(axis=1, keepdims=True)
    genes = np.flatnonzero(profiles.mean(axis=0) > 0)
    weight = 1.0 / np.sqrt(profiles[:, genes].mean(axis=0))
    design = (profiles[:, genes] * weight).T
    size = library_sizes(X)
    found = np.empty((X.shape[0], len(profiles)))
    for cell in range(X.shape[0]):
        row = X[[cell]]
        row = np.asarray(row.toarray() if hasattr(row, "toarray") else row, dtype=np.float64).ravel()[genes]
        found[cell] = nnls(design, row * weight / max(size[cell], 1e-300))[0]
    total = found.sum(axis=1, keepdims=True)
    return np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / len(profiles))


def mixture_r2(X: Any, proportions: Any) -> float:
    """Coefficient of determination of estimated against known mixing proportions; 1 is ideal.

    The profile of a component is the mean composition of its pure cells in ``X``. The proportions of all other cells
    are estimated by :func:`mixture_proportions` and compared with the known ones.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes.
    proportions
        Known proportions, ``(cells, components)``; rows sum to one.

    Raises
    ------
    ValueError
        If shapes do not agree, if a component has no pure cell, or if no cell is mixed.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import mixture_r2
    >>> known = np.array([[1, 0], [0, 1], [0.5, 0.5], [0.2, 0.8]])
    >>> round(mixture_r2(known @ [[60, 20, 20], [0, 80, 20]], known), 6)
    1.0
    """
    X = check_prediction(X, np.shape(X), name="X")
    known = np.asarray(proportions, dtype=np.float64)
    if known.ndim != 2 or len(known) != X.shape[0] or not np.allclose(known.sum(axis=1), 1.0, atol=1e-3):
        msg = f"proportions has shape {known.shape}; pass {X.shape[0]} cells x components with rows that sum to one."
        raise ValueError(msg)
    is_pure = known > 1 - 1e-6
    absent = np.flatnonzero(~is_pure.any(axis=0))
    mixed = ~is_pure.any(axis=1)
    if absent.size or mixed.sum() < 2:
        msg = f"components {absent.tolist()} have no pure cell, {int(mixed.sum())} cells are mixed; both are needed."
        raise ValueError(msg)
    size = library_sizes(X)
    profiles = []
    for component in is_pure.T:
        cells = np.flatnonzero(component & (size > 0))
        profiles.append(np.asarray((1.0 / size[cells]) @ X[cells]).ravel())
    estimated = mixture_proportions(X[np.flatnonzero(mixed)], np.stack(profiles))
    true = known[mixed]
    return float(1.0 - np.square(estimated - true).sum() / np.square(true - true.mean(axis=0)).sum())
