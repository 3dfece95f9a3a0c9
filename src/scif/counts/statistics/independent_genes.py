"""Expected counts of genes that share no variance: they depend on library size and batch alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scif.counts.statistics.depth_regression import DepthRegression, regress_on_depth

__all__ = ["Pooled"]


@dataclass(frozen=True)
class Pooled:
    """Expected counts and variance of genes on their own.

    Attributes
    ----------
    profiles
        Pooled composition of each batch, ``(batches, genes)``.
    dispersion
        Beyond Poisson noise, ``(genes,)``.
    trend
        With depth.
    """

    profiles: np.ndarray
    dispersion: np.ndarray
    trend: DepthRegression

    @classmethod
    def of(
        cls,
        x: sparse.csr_matrix,
        depth: np.ndarray,
        *,
        member: np.ndarray,
        bounds: tuple[float, float] = (-np.inf, np.inf),
    ) -> Pooled:
        """By moments around the profiles.

        Parameters
        ----------
        x
            Counts ``(cells, genes)``.
        depth
            Molecules of each cell that these counts are compared with, ``(cells,)``.
        member
            One in the column of each cell's batch, ``(cells, batches)``.
        bounds
            Least and largest slope of the trends.
        """
        profiles = (x.T @ member).T
        profiles /= (depth @ member)[:, None].clip(1e-12)
        mean, power = (depth**i @ member @ profiles**i for i in (1, 2))
        product = ((x.T @ (depth[:, None] * member)).T * profiles).sum(0)
        square = np.asarray(x.multiply(x).sum(0)).ravel() - 2.0 * product + power
        dispersion = ((square - mean) / power.clip(1e-12)).clip(0.0)
        trend = regress_on_depth(x, depth, member=member, profiles=profiles, dispersion=dispersion, bounds=bounds)
        return cls(profiles.astype(np.float32), dispersion.astype(np.float32), trend)

    def expected(self, depth: np.ndarray, member: np.ndarray) -> np.ndarray:
        """Counts of cells, ``(cells, genes)``."""
        mu = self.trend.factor(depth, member)
        mu *= depth[:, None] * (member @ self.profiles)
        return mu

    def residuals(self, x: np.ndarray, depth: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weighted residuals of counts ``(cells, genes)``, and their weights, of the same shape."""
        mu = self.expected(depth, member)
        certainty = 1.0 / (1.0 + mu * self.dispersion)
        return (x - mu) * certainty, mu * certainty
