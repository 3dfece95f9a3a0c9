"""Regression of every gene's counts on latent factors: the sums that a Newton step of the loadings needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scif.counts.posterior.laplace import pairs, symmetric
from scif.counts.statistics.shrinkage import VectorPrior, learn_prior, left_open
from scif.parallel import spread

__all__ = ["TRUST", "GeneRegressions", "within_trust"]

#: Genes from which the prior of the loadings and their noise are learned, and numbers in the matrices of as many as are
#: solved at a time.
GENES, NUMBERS = 2000, 1_000_000
#: Largest change of a log-rate of any cell in one step.
TRUST = 1.0


class GeneRegressions:
    r"""Sums over cells of the regressions :math:`x_{ig} \sim L_i \exp(b_g + w_g^\top z_i)`, one for each gene.

    A Laplace approximation of a gene's log-likelihood is quadratic in its bias and its loadings; the bias is
    eliminated. Its gradient is exact. Its curvature is summed over groups of cells with similar factors, in which the
    share of the information that is a gene's is taken to be the same in all cells: of size genes x k x k there is
    nothing.

    Parameters
    ----------
    loadings
        The present ones, ``(genes, k)``.
    factors
        Of all cells, ``(cells, k)``.
    group
        How far each cell belongs to each group, ``(cells, groups)``; rows sum to one.
    """

    def __init__(self, loadings: Tensor, factors: Tensor, group: Tensor) -> None:
        genes, k = loadings.shape
        groups = group.shape[1]
        self._loadings, self._factors, self._group = loadings, factors, group.to(factors)
        self._weight = loadings.new_zeros(groups, genes)
        self._gradient = loadings.new_zeros(k + 1, genes)
        self._moments = loadings.new_zeros(groups, 1 + k + k * (k + 1) // 2)  # of the factors: orders 0, 1 and 2

    def add(self, cells: slice, weight: Tensor, rest: Tensor, *, correction: Tensor | None = None) -> None:
        """Add cells.

        Parameters
        ----------
        cells
            Which ones.
        weight, rest
            Information of each count on its log-rate, and the slope of its log-likelihood, ``(cells, genes)``.
        correction
            What to take off the gradient in the loadings, ``(genes, k)``.
        """
        factors, group = self._factors[cells], self._group[cells]
        one = factors.new_ones(len(factors), 1)
        self._gradient.addmm_(torch.cat([one, factors], 1).T, rest)
        if correction is not None:
            self._gradient[1:] -= correction.T
        self._weight.addmm_(group.T, weight)
        member = group * weight.sum(1, keepdim=True)
        self._moments.addmm_(member.T, torch.cat([one, factors, pairs(factors)], 1))

    def quadratic(self, genes: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """``H (genes, k, k)`` and ``t (genes, k)`` of each log-likelihood ``t'w - w'Hw / 2`` at the best bias."""
        loadings, k = self._loadings[genes], self._loadings.shape[1]
        sums = self._weight[:, genes].T @ (self._moments / self._moments[:, :1].clamp_min(1e-6))
        centre = self._centre(genes)
        information = symmetric(sums[:, 1 + k :]) - centre[:, :, None] * sums[:, None, 1 : 1 + k]
        gradient = self._gradient[1:, genes].T - centre * self._gradient[0, genes, None]
        return information, (information @ loadings[:, :, None])[..., 0] + gradient

    def learn_prior(self, *, guess: Tensor, rounds: int = 5) -> VectorPrior:
        """Prior of all loadings, on the processor, from some of the genes; ``guess (k, k)`` is of its covariance."""
        information, target = (part.cpu() for part in self.quadratic(self._some()))
        return learn_prior(information, target, guess=guess.to(information), rounds=rounds)

    def noise(self, *, prior: VectorPrior) -> Tensor:
        """Information that noise of loosely shrunk loadings adds to that on the factors of all cells, ``(k, k)``.

        From some of the genes, none of which adds more than about one in any direction.
        """
        genes = self._some()
        information, _ = self.quadratic(genes)
        weight = self._weight[:, genes].sum(0)
        found = torch.einsum("g,gij->ij", weight.cpu(), left_open(information.cpu(), prior=prior))
        return found * (len(self._loadings) / len(weight))

    def _some(self) -> slice:
        """About :data:`GENES` genes."""
        return slice(None, None, max(1, len(self._loadings) // GENES))

    def change(self, how: Callable[..., Tensor], *, prior: VectorPrior) -> Tensor:
        """Change of the loadings, ``(genes, k)``, for better ones that :func:`within_trust` allows."""
        return within_trust(self.solved(how, prior=prior) - self._loadings, self._factors)

    def solved(self, how: Callable[..., Tensor], *, prior: VectorPrior) -> Tensor:
        """Better loadings ``(genes, k)`` by ``shrink`` or ``loosen``, a few at a time."""
        genes, k = self._loadings.shape
        size = max(1, NUMBERS // max(1, k**2))

        def best(start: int) -> Tensor:
            information, target = (part.cpu() for part in self.quadratic(slice(start, start + size)))
            found: Tensor = how(information, target, prior=prior)
            return found

        return torch.cat(list(spread(best, range(0, genes, size), on=self._loadings.device))).to(self._loadings)

    def bias_change(self, change: Tensor) -> Tensor:
        """Change of the biases ``(genes,)`` that goes with a change of the loadings ``(genes, k)``."""
        known = self._weight.sum(0).clamp_min(1e-6)
        return (self._gradient[0] / known - (self._centre() * change).sum(1)).clamp(-1.0, 1.0)

    def _centre(self, genes: slice = slice(None)) -> Tensor:
        """Mean factors of the cells, weighted by their information on each gene, ``(genes, k)``."""
        weight, k = self._weight[:, genes], self._loadings.shape[1]
        means = self._moments[:, 1 : 1 + k] / self._moments[:, :1].clamp_min(1e-6)
        return (weight.T @ means) / weight.sum(0)[:, None].clamp_min(1e-6)


def within_trust(change: Tensor, factors: Tensor) -> Tensor:
    """Changes of loadings ``(genes, k)``, shortened where they would change a cell's log-rate by more than `TRUST`.

    The curvature of a group knows little about a cell far from the others, so that the rates of a few cells of a rare
    type would leave all bounds.
    """
    far = change.norm(dim=1) * factors.norm(dim=1).max() > TRUST  # the others cannot
    some = change[far]
    reach = torch.stack([(part @ some.T).abs().amax(0) for part in factors.split(64)]).amax(0)
    change = change.clone()
    change[far] = some * (TRUST / reach.clamp_min(TRUST))[:, None]
    return change
