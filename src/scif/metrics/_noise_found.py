"""Is Poisson noise enough? The steadiest genes know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from scif.metrics._groups import as_labels
from scif.metrics._matrix import as_counts, library_sizes

__all__ = ["NoiseFound", "noise_found"]

#: Quantile of overdispersion that is taken for technical: that of the steadiest genes.
_STEADIEST = 0.1
#: Genes with this much information; the standard error of their overdispersion is below 0.1.
_LEAST_INFORMATION = 200.0
#: Standard errors from which a gene is told from Poisson.
_TOLD = 3.0
#: Squared coefficient of variation from which Poisson noise is called too little. Molecules stay below it in kinds of
#: cells that are told apart; reads, which are amplified together, have ten times as much.
_TOO_MUCH = 0.1


@dataclass(frozen=True)
class NoiseFound:
    """Overdispersion of genes beyond Poisson sampling; see :func:`noise_found`.

    Attributes
    ----------
    overdispersion
        Squared coefficient of variation beyond sampling, biological and technical, one value per gene.
    standard_error
        Standard error of ``overdispersion`` under Poisson noise.
    steadiest
        Tenth percentile of overdispersion among sufficiently abundant genes, at least zero. It is an upper bound of
        technical overdispersion. NaN if no gene is abundant enough.
    poisson_share
        Fraction of these abundant genes that are compatible with Poisson noise.
    """

    overdispersion: np.ndarray
    standard_error: np.ndarray
    steadiest: float
    poisson_share: float

    @property
    def poisson_is_enough(self) -> bool:
        """True if the least variable genes show no relevant technical noise beyond sampling."""
        return not self.steadiest > _TOO_MUCH

    @property
    def message(self) -> str:
        """Summary in one sentence."""
        if np.isnan(self.steadiest):
            return "No gene is abundant enough to detect noise beyond Poisson sampling."
        variation = 100 * np.sqrt(self.steadiest)
        found = f"The least variable genes vary by at most {variation:.0f}% beyond Poisson sampling"
        if self.poisson_is_enough:
            return f"{found}: Poisson noise is enough."
        return f'{found}: if this is technical, or if the counts are reads, use noise="nb".'


def noise_found(X: Any, *, clusters: Any = None) -> NoiseFound:
    r"""Overdispersion of each gene beyond Poisson sampling, and a bound from the least variable genes.

    With :math:`\mu` a gene's mean count at each cell's library size, in the cell's cluster,

    .. math:: \hat\phi = \frac{\sum (x - \mu)^2 - x}{\sum \mu^2}

    is an unbiased estimate of its squared coefficient of variation, after correction for the degrees of freedom. If the
    gene is Poisson, the standard error is :math:`\sqrt{2 / \sum \mu^2}`.

    Parameters
    ----------
    X
        Counts, cells x genes, sparse or dense.
    clusters
        One label per cell. Without labels, differences between cell types count as overdispersion, which leaves few
        stable genes in a set of highly variable genes.

    Raises
    ------
    ValueError
        If values are not counts, or if labels do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import noise_found
    >>> counts = np.random.default_rng(0).poisson(4.0, (500, 60))
    >>> noise_found(counts).poisson_is_enough
    True
    """
    counts = as_counts(X)
    labels = np.zeros(counts.shape[0], dtype=int) if clusters is None else as_labels(clusters, counts.shape[0])
    excess, information = np.zeros((2, counts.shape[1]))
    for label in np.unique(labels):
        parts = _moments(counts[np.flatnonzero(labels == label)])
        excess, information = excess + parts[0], information + parts[1]
    seen = information > 0
    phi = np.where(seen, excess / np.where(seen, information, 1.0), 0.0)
    error = np.sqrt(2.0 / np.where(seen, information, np.nan))
    enough = information >= _LEAST_INFORMATION
    if not enough.any():
        return NoiseFound(phi, error, float("nan"), 1.0)
    steadiest = max(float(np.quantile(phi[enough], _STEADIEST)), 0.0)
    told = phi[enough] > _TOLD * error[enough]
    return NoiseFound(phi, error, steadiest, float(1 - told.mean()))


def _moments(counts: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Sums over cells of one kind of ``(x - mu)**2 - x``, corrected for the fit of ``mu``, and of ``mu**2``."""
    size = library_sizes(counts)
    per_gene = np.asarray(counts.sum(axis=0)).ravel()
    share = per_gene / max(float(size.sum()), 1.0)
    square = float((size**2).sum())
    information = share**2 * square
    squares = np.asarray(counts.multiply(counts).sum(axis=0)).ravel() - 2 * share * np.asarray(size @ counts).ravel()
    fitted = share * square / max(float(size.sum()), 1.0)
    return squares + information + fitted - per_gene, information
