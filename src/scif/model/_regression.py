"""Every gene's counts regressed on the codes of its cells: the sums that a Newton step of the loadings needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scif.model._shrinkage import VectorPrior, learn_prior
from scif.nn.code_likelihood import pairs, symmetric

__all__ = ["GeneRegressions"]

#: Genes that the prior of the loadings is learned from, and numbers in the matrices of as many as are solved at a time.
GENES, NUMBERS = 2000, 4_000_000


class GeneRegressions:
    r"""Sums over cells of the regressions :math:`x_{ig} \sim L_i \exp(b_g + w_g^\top z_i)`, one for each gene.

    Around the present loadings the log-likelihood of a gene is a parabola in its bias and its loadings; the bias is
    eliminated.

    Parameters
    ----------
    genes, k
        Number of genes, and width of the codes.
    like
        A tensor of the type and device of the sums.
    """

    def __init__(self, genes: int, k: int, *, like: Tensor) -> None:
        self._level = like.new_zeros(genes, 2)  # information on the bias, and its gradient
        self._cross, self._gradient = like.new_zeros(2, genes, k)
        self._information = like.new_zeros(genes, k * (k + 1) // 2)

    def add(self, codes: Tensor, weight: Tensor, rest: Tensor, *, correction: Tensor | None = None) -> None:
        """Add cells.

        Parameters
        ----------
        codes
            ``(cells, k)``.
        weight, rest
            Information of each count on its log-rate, and the slope of its log-likelihood, ``(cells, genes)``.
        correction
            What to take off the gradient, ``(genes, k)``.
        """
        self._level += torch.stack([weight.sum(0), rest.sum(0)], 1)
        self._gradient += rest.T @ codes
        if correction is not None:
            self._gradient -= correction
        self._cross += weight.T @ codes
        self._information.addmm_(weight.T, pairs(codes))

    def parabola(self, loadings: Tensor, genes: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """``H (genes, k, k)`` and ``t (genes, k)`` of each log-likelihood ``t'w - w'Hw / 2`` at the best bias."""
        slope = self._slope(genes)
        information = symmetric(self._information[genes]) - slope[:, :, None] * self._cross[genes, None, :]
        gradient = self._gradient[genes] - slope * self._level[genes, 1:]
        return information, (information @ loadings[genes, :, None])[..., 0] + gradient

    def learn_prior(self, loadings: Tensor, *, guess: Tensor, rounds: int = 5) -> VectorPrior:
        """Prior of all loadings, on the processor, from some of the genes; ``guess (k, k)`` is of its covariance."""
        some = slice(None, None, max(1, len(loadings) // GENES))
        information, target = (part.cpu() for part in self.parabola(loadings, some))
        return learn_prior(information, target, guess=guess.to(information), rounds=rounds)

    def solved(self, loadings: Tensor, how: Callable[..., Tensor], *, prior: VectorPrior) -> Tensor:
        """Better loadings ``(genes, k)``: :func:`~scif.model._shrinkage.shrink` or ``loosen``, a few genes at a time.

        Of size genes x k x k there is only what :meth:`add` sums up.
        """
        genes, k = loadings.shape
        size = max(1, NUMBERS // max(1, k**2))
        found = []
        for start in range(0, genes, size):
            information, target = (part.cpu() for part in self.parabola(loadings, slice(start, start + size)))
            found.append(how(information, target, prior=prior))
        return torch.cat(found).to(loadings)

    def bias_change(self, change: Tensor) -> Tensor:
        """Change of the biases ``(genes,)`` that goes with a change of the loadings ``(genes, k)``."""
        known = self._level[:, 0].clamp_min(1e-6)
        return (self._level[:, 1] / known - (self._slope() * change).sum(1)).clamp(-1.0, 1.0)

    def _slope(self, genes: slice = slice(None)) -> Tensor:
        return self._cross[genes] / self._level[genes, :1].clamp_min(1e-6)
