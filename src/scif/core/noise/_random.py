"""Seeded draws: every function takes the generator explicitly and works on the generator's device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "beta",
    "beta_log_odds",
    "binomial",
    "few_successes",
    "multinomial",
    "normal",
    "poisson",
    "standard_gamma",
    "uniform",
]


_WITHOUT_KERNELS = ("mps",)
"""Devices on which torch draws no counts and no gamma numbers."""

_FEW = 6
"""Trials up to which a processor goes through the distribution function."""


@dataclass(frozen=True)
class _Source:
    """Where to draw, and from what."""

    device: torch.device
    generator: torch.Generator | None

    @classmethod
    def of(cls, like: Tensor, generator: torch.Generator | None) -> _Source:
        """The generator on its device; where that has no kernels, one on the CPU with a seed drawn from it."""
        device = like.device if generator is None else generator.device
        if device.type not in _WITHOUT_KERNELS:
            return cls(device, generator)
        if generator is not None:
            seed = int(torch.randint(2**31 - 1, (), device=device, generator=generator))
            generator = torch.Generator().manual_seed(seed)
        return cls(torch.device("cpu"), generator)


def normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of the shape, dtype and device of ``like``."""
    device = like.device if generator is None else generator.device
    return torch.randn(like.shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def uniform(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Numbers in [0, 1) of the shape, dtype and device of ``like``."""
    device = like.device if generator is None else generator.device
    return torch.rand(like.shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def poisson(rate: Tensor, generator: torch.Generator | None) -> Tensor:
    """Poisson counts."""
    source = _Source.of(rate, generator)
    return torch.poisson(rate.to(source.device), generator=source.generator).to(rate.device)


def binomial(count: Tensor, probability: Tensor, generator: torch.Generator | None) -> Tensor:
    """Binomial counts; both arguments broadcast."""
    source = _Source.of(count, generator)
    trials, chance = torch.broadcast_tensors(count.to(source.device), probability.to(source.device, count.dtype))
    return torch.binomial(trials, chance, generator=source.generator).to(count.device)


def few_successes(count: Tensor, probability: Tensor, group: Tensor, generator: torch.Generator | None) -> Tensor:
    """Binomial counts ``(n,)``, faster than :func:`binomial` where most are of at most :data:`_FEW` trials.

    On a processor one uniform number and a table of the distribution functions do for these; a GPU is faster with its
    own kernel.

    Parameters
    ----------
    count
        Trials ``(n,)``, whole numbers.
    probability
        Of success, in each group ``(groups,)``.
    group
        That each count belongs to, ``(n,)``.
    generator
        Random generator.
    """
    if count.device.type != "cpu":
        return binomial(count, probability[group], generator)
    position = uniform(count, generator)
    at = group * (_FEW + 1) + count.clamp_max(_FEW).long()
    successes = count - _FEW
    for below in _failures_below(probability):
        # a failure more unless the position is below: the difference of two numbers in [0, 1] has the right sign
        successes -= (position - below.index_select(0, at)).floor_()
    many = (count > _FEW).nonzero()[:, 0]
    successes[many] = binomial(count[many], probability[group[many]], generator)
    return successes


def _failures_below(probability: Tensor) -> Tensor:
    """Chance of at most ``j`` failures, ``(_FEW, groups * (_FEW + 1))``, of each group and number of trials."""
    trials = torch.arange(_FEW + 1, dtype=probability.dtype)[:, None]
    failures = torch.arange(_FEW, dtype=probability.dtype)
    ways = probability.new_tensor([[math.comb(n, j) for j in range(_FEW)] for n in range(_FEW + 1)])
    chance = probability[:, None, None]
    below = (ways * chance ** (trials - failures).clamp_min(0) * (1 - chance) ** failures).cumsum(-1)
    return torch.where(failures < trials, below, 1.0).permute(2, 0, 1).flatten(1).contiguous()


def standard_gamma(concentration: Tensor, generator: torch.Generator | None) -> Tensor:
    """Gamma numbers of rate one, differentiable in the concentration (implicit reparametrisation)."""
    # torch.distributions.Gamma calls the same kernel but has no way to pass a generator.
    source = _Source.of(concentration, generator)
    draw = torch._standard_gamma(concentration.to(source.device), generator=source.generator)
    return draw.to(concentration.device)


def beta(a: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
    """Beta numbers, safe for parameters far below one, where the ratio of two gamma numbers is 0/0."""
    return torch.sigmoid(beta_log_odds(a, b, generator))


def beta_log_odds(a: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
    """Log odds of beta numbers, which tell apart shares that a floating point number rounds to one."""
    return _log_standard_gamma(a, generator) - _log_standard_gamma(b, generator)


def _log_standard_gamma(concentration: Tensor, generator: torch.Generator | None) -> Tensor:
    """Logarithm of a gamma number: ``G(c) = G(c + 1) U^(1/c)`` in distribution, and ``-log U`` is exponential."""
    source = _Source.of(concentration, generator)
    exponential = torch.empty_like(concentration, device=source.device)
    exponential = exponential.exponential_(generator=source.generator).to(concentration.device)
    return standard_gamma(concentration + 1, generator).log() - exponential / concentration


def multinomial(count: Tensor, weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """Counts over the last axis: ``count`` ``(...)`` molecules in proportion to ``weight`` ``(..., categories)``.

    Independent Poisson counts with a total a little below ``count`` are, given their total, multinomial; the few
    molecules still missing are then drawn one by one. Exact, and about as fast as Poisson counts at any depth.
    """
    shape, molecules, weight = weight.shape, count.reshape(-1), weight.reshape(-1, weight.shape[-1])
    share = weight / weight.sum(-1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
    rate = (molecules - 4 * molecules.sqrt()).clamp_min(0).unsqueeze(-1) * share
    counts = poisson(rate, generator)
    # Any accepted total gives the right law, so a draw that overshoots is simply repeated.
    while bool((over := counts.sum(-1) > molecules).any()):
        counts[over] = poisson(rate[over], generator)
    missing = molecules - counts.sum(-1)
    cumulative = share.cumsum(-1)
    slots = torch.arange(int(missing.max()), device=weight.device)
    position = uniform(weight.new_empty(len(weight), len(slots)), generator) * cumulative[:, -1:]
    category = torch.searchsorted(cumulative, position, right=True).clamp_max(shape[-1] - 1)
    wanted = (slots < missing.unsqueeze(-1)).to(weight.dtype)
    return counts.scatter_add(-1, category, wanted).reshape(shape)
