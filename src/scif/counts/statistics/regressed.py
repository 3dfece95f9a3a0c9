"""Sums of a regression of genes' residuals on latent factors, and its score statistic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Regressed"]


@dataclass(frozen=True)
class Regressed:
    """Sums over cells, of every gene.

    Attributes
    ----------
    gradient, information, cross
        Of residuals times factors, and of weights times squared factors and factors, ``(genes, k)``.
    level, square
        Of weights and of squared residuals, ``(genes,)``.
    """

    gradient: np.ndarray
    information: np.ndarray
    cross: np.ndarray
    level: np.ndarray
    square: np.ndarray

    def plus(self, other: Regressed) -> Regressed:
        """Sums over the cells of both."""
        return Regressed(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def score(self, scale: np.ndarray) -> np.ndarray:
        """Squared gradients over their variance, summed over directions of standard deviation ``scale``, ``(genes,)``.

        It is standardised: about N(0, 1) for a gene that follows none of them.
        """
        level = self.level.clip(1e-12)
        information = self.information - self.cross**2 / level[:, None]
        # the variance may be more than the negative binomial's, not less
        variance = information.clip(1e-12) * np.maximum(self.square / level, 1.0)[:, None]
        score: np.ndarray = (self.gradient**2 / variance - 1.0) @ scale / np.sqrt(2.0 * (scale**2).sum())
        return score
