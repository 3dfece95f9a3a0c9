"""Draws of expected counts and of counts; a draw of a cell depends on nothing but the cell and the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scif.counts.posterior.gamma import gamma_from_normal
from scif.counts.posterior.latent import LatentPosterior
from scif.counts.posterior.loadings_posterior import LoadingsPosterior
from scif.counts.posterior.spread import Spread

__all__ = ["COUNTS", "CellNumbers", "Factors", "draw_counts", "draw_expected"]

#: What the random numbers of one seed are for: the second word of their counter.
EXPECTED, LOADINGS, COUNTS = 0, 1, 2


@dataclass(frozen=True)
class Factors:
    """Posterior of the latent factors of some cells, and the decoder.

    Attributes
    ----------
    posterior
        Mixture of normals.
    root
        Roots of the components' covariances in the latent prior, ``(components, k, k)``.
    loadings
        ``(genes, k)``.
    uncertain
        Posterior of the loadings; None if they are taken to be known.
    """

    posterior: LatentPosterior
    root: Tensor
    loadings: Tensor
    uncertain: LoadingsPosterior | None = None

    def covariance(self) -> Tensor:
        """Posterior covariance ``(cells, k, k)``."""
        return self.posterior.covariance(self.root)

    def draw(self, uniform: Tensor, score: Tensor) -> Tensor:
        """One draw ``(cells, k)`` of a number in [0, 1) ``(cells,)`` and normals ``(cells, k)`` for each cell."""
        upper = self.posterior.weights.cumsum(1)
        which = (uniform[:, None] * upper[:, -1:] >= upper).sum(1).clamp_max(upper.shape[1] - 1)
        cells = torch.arange(len(which), device=which.device)
        scaled = self.posterior.variances[cells, which].sqrt() * score
        return self.posterior.means[cells, which] + (self.root[which] @ scaled[:, :, None])[..., 0]

    def deviations(self, factors: Tensor, rho: Tensor, moved: tuple[Tensor, Tensor] | None) -> Tensor:
        """Deviations of the log-rates ``(cells, genes)`` of drawn factors, and loadings moved, from the estimate."""
        apart = factors - self.posterior.mean()
        found = torch.addmm(-(apart * (rho @ self.loadings)).sum(1, keepdim=True), apart, self.loadings.T)
        return found if moved is None else found.add_(torch.addmm(moved[1], factors, moved[0].T))


class CellNumbers:
    """Random numbers of some cells, from a generator of each cell's own.

    Parameters
    ----------
    cells
        Numbers of the cells.
    seed
        Seed of all draws.
    purpose
        What the numbers are for; those of two purposes are independent.

    Examples
    --------
    >>> first, second = CellNumbers([4, 7], seed=0), CellNumbers([7], seed=0)
    >>> bool((first.normal(3)[1] == second.normal(3)[0]).all())
    True
    """

    def __init__(self, cells: Sequence[int] | np.ndarray, *, seed: int, purpose: int = EXPECTED) -> None:
        self._generators = [_generator(seed, purpose, int(cell)) for cell in cells]

    def normal(self, count: int) -> Tensor:
        """Standard normal numbers ``(cells, count)``."""
        out = np.empty((len(self._generators), count), dtype=np.float32)
        for row, generator in zip(out, self._generators, strict=True):
            generator.standard_normal(out=row, dtype=np.float32)
        return torch.from_numpy(out)

    def uniform(self, count: int) -> Tensor:
        """Numbers in [0, 1), ``(cells, count)``."""
        out = np.empty((len(self._generators), count), dtype=np.float32)
        for row, generator in zip(out, self._generators, strict=True):
            generator.random(out=row, dtype=np.float32)
        return torch.from_numpy(out)

    def poisson(self, rate: np.ndarray) -> np.ndarray:
        """Poisson counts of rates ``(cells, genes)``."""
        return np.stack([g.poisson(row) for g, row in zip(self._generators, rate, strict=True)])


def draw_expected(
    spread: Spread,
    factors: Factors | None,
    *,
    cells: Sequence[int] | np.ndarray,
    library: Tensor,
    n_samples: int,
    seed: int,
) -> Iterator[Tensor]:
    """Draws of the expected counts of cells, one ``(cells, genes)`` at a time, at their library sizes.

    Latent factors are drawn from their posteriors, loadings from theirs (once a draw, for all cells alike), the
    gene-specific variation from its gamma posterior. The mean of many is the estimate.

    Parameters
    ----------
    spread
        Posterior of the expected counts around their estimate, all genes.
    factors
        Posterior of the latent factors; None if there is no fitted prior.
    cells
        Numbers of the cells, which with ``seed`` fix their random numbers.
    library
        Sum of each draw, ``(cells,)``.
    n_samples
        How many.
    seed
        Of all draws.
    """
    numbers, like = CellNumbers(cells, seed=seed), spread.mean
    rho = like / like.sum(1, keepdim=True).clamp_min(1e-12)
    # the log-normal factor with mean one and variance `passed`
    log_variance = spread.passed.log1p()
    scale = spread.share * torch.where(spread.passed > 0, log_variance / spread.passed.clamp_min(1e-12), 0.0).sqrt()
    for sample in range(n_samples):
        score, uniform = (part(like.shape[1]).to(like) for part in (numbers.normal, numbers.uniform))
        value = spread.mean * gamma_from_normal(spread.shape, score, uniform)
        if factors is not None:
            uniform, score = numbers.uniform(1)[:, 0].to(like), numbers.normal(factors.root.shape[2]).to(like)
            moved = None if factors.uncertain is None else factors.uncertain.draw(_shared(factors, seed, sample))
            deviation = factors.deviations(factors.draw(uniform, score), rho, moved)
            value *= torch.exp(deviation.mul_(scale).sub_(0.5 * log_variance))
        yield value * (library / value.sum(1).clamp_min(1e-12))[:, None]


def draw_counts(expected: Tensor, numbers: CellNumbers, *, inverse_dispersion: Tensor | None = None) -> Tensor:
    """Counts ``(cells, genes)`` of the noise channel, given their expectations: Poisson, or negative binomial.

    Parameters
    ----------
    expected
        ``(cells, genes)``.
    numbers
        Random numbers of these cells, see :class:`CellNumbers`, of the purpose ``COUNTS``.
    inverse_dispersion
        Technical inverse dispersion of each gene, ``(genes,)``; Poisson noise if not given.
    """
    if inverse_dispersion is not None:
        score, uniform = (part(expected.shape[1]).to(expected) for part in (numbers.normal, numbers.uniform))
        expected = expected * gamma_from_normal(inverse_dispersion.expand_as(expected), score, uniform)
    return torch.from_numpy(numbers.poisson(expected.double().cpu().numpy())).to(expected)


def _shared(factors: Factors, seed: int, sample: int) -> Tensor:
    """Normals ``(genes, k + 1)`` of one draw that all cells share."""
    genes, k = factors.loadings.shape
    numbers = _generator(seed, LOADINGS, sample).standard_normal((genes, k + 1), dtype=np.float32)
    return torch.from_numpy(numbers).to(factors.loadings)


def _generator(seed: int, purpose: int, number: int) -> np.random.Generator:
    """Counter-based generator; ``seed``, ``purpose`` and ``number`` are its key and the upper words of its counter."""
    return np.random.Generator(np.random.Philox(key=seed % 2**64, counter=[0, 0, number, purpose]))
