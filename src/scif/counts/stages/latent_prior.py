"""Stage: the distribution of the latent factors before noise, by expectation maximisation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scif.counts.config import DispersionConfig, LatentPriorConfig
from scif.counts.data.batch import CountBatch, numbered
from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.drawn_dispersion import drawn_dispersion
from scif.counts.posterior.factors import StandardFactors
from scif.counts.posterior.laplace import Laplace, information, laplace, newton_step, unpenalised
from scif.counts.posterior.latent import LatentPosterior, mixture_posterior
from scif.counts.posterior.parameters import MAX_SHAPE, LatentPrior, Loadings, Parameters
from scif.counts.statistics.cell_information import CellInformation
from scif.counts.statistics.gene_regression import GeneRegressions
from scif.counts.statistics.mixture import BLOCK, Mixture
from scif.counts.statistics.shrinkage import loosen, second_moment, shrink
from scif.parallel import spread

__all__ = ["LatentPriorFit", "fit_latent_prior"]


@dataclass(frozen=True)
class LatentPriorFit:
    """The prior of the latent factors, and how it was found.

    Attributes
    ----------
    prior
        None if none was fitted.
    reason
        Why not.
    factors
        Draws of the cells' factors from their posteriors, ``(cells, k)``.
    rounds
        Rounds of factors and loadings.
    objective
        Mean log-likelihood of a cell in each round of the mixture, in nats up to a constant of the round's coordinates.
    converged
        Whether the last rounds of the mixture changed it by less than the tolerance.
    """

    prior: LatentPrior | None
    reason: str = ""
    factors: Tensor | None = None
    rounds: int = 0
    objective: tuple[float, ...] = ()
    converged: bool = True

    @property
    def decision(self) -> str:
        """The decision, in a few words."""
        if self.prior is None:
            return f"not fitted: {self.reason}"
        return f"{len(self.prior.centre)} components, {self.prior.centre.shape[1]} informative factors"


@dataclass(frozen=True)
class _Decoders:
    """Loadings as posterior means and loosely shrunk, their prior covariance, and noise of the loose ones."""

    tight: Loadings
    loose: Loadings
    covariance: Tensor
    noise: Tensor


@torch.no_grad()
def fit_latent_prior(
    network: CountNetwork,
    parameters: Parameters,
    cells: CellSample,
    config: LatentPriorConfig,
    *,
    dispersion_config: DispersionConfig,
    at: StandardFactors,
    technical: Tensor | float,
    generator: torch.Generator,
) -> LatentPriorFit:
    r"""Fit the prior that, put through the decoder and the noise, gives the observed counts back.

    The network's factors are shrunk and blurred by noise. Each round approximates the likelihood of every cell's counts
    (Laplace), drops uninformative directions, fits the mixture by extreme deconvolution :cite:p:`bovy2011extreme`,
    draws factors from their posteriors, and takes a Newton step of the loadings given the draws. Draws, unlike means,
    are as spread out as the factors themselves, so that loadings do not make up for missing variance. The uncertainty
    of the loadings enters the information on the factors, as in variational principal components
    :cite:p:`bishop1999variational`. Loadings are kept as posterior means for the mean, and loosely shrunk for
    transport and draws.

    Parameters
    ----------
    network, parameters
        The trained network, its loadings as posterior means, and provisional dispersions.
    cells
        Cells.
    config
        Constants.
    dispersion_config
        Constants of the dispersion around drawn factors.
    at
        The network's factors of these cells.
    technical
        Technical inverse dispersion, one number or ``(genes,)``.
    generator
        Source of randomness, of the CPU.
    """
    if len(at.latent) < config.fewest_cells or at.whiten.shape[1] == 0:
        return LatentPriorFit(None, f"fewer than {config.fewest_cells} cells, or no factors")
    assert parameters.loadings is not None  # an earlier stage
    z, member = at.coordinates().cpu().double(), at.group.cpu().double()
    start = parameters.loadings.moved(at.centre, at.unwhiten)
    covariance = second_moment(start.weight).cpu().double()
    decoders, mixture = _Decoders(start, start, covariance, torch.zeros_like(covariance)), None
    objective: list[float] = []
    converged = True
    for number in range(config.rounds + 1):
        known = _approximated(network, parameters, cells, z, decoders, group=member)
        kept = known.informative(least=config.informed[min(number, 1)])
        if kept.shape[1] == 0:
            return LatentPriorFit(None, "cells differ by no more than noise")
        if kept.shape[1] < len(kept):
            z, known = z @ kept, known.along(kept)
            decoders = _Decoders(
                decoders.tight.along(kept), decoders.loose.along(kept), kept.T @ decoders.covariance @ kept, known.noise
            )
            mixture = None if mixture is None else mixture.along(kept)
        if mixture is None:
            mixture, member = Mixture.clusters(z)
        converged = False
        for _ in range(config.later_mixture_rounds if number else config.first_mixture_rounds):
            mixture, member, value = mixture.improved(known.z, known.molecules, known.of(member))
            converged = bool(objective) and abs(value - objective[-1]) < config.tolerance
            objective.append(value)
            if converged:
                break
        axes = mixture.axes(known.of(member))
        posterior = mixture_posterior(known.z, known.molecules, **axes)
        z = posterior.mean()
        if number == config.rounds:
            break
        drawn = posterior.draw(axes["root"], generator).to(start.bias)
        last = number == config.rounds - 1
        decoders = _regressed(network, parameters, cells, drawn, decoders, member, config, both=last)
        # the scale of the factors is free: their prior has mean zero and covariance one
        mean, root, back = mixture.standard()
        to = mean.to(start.bias), root.to(start.bias)
        noise = root @ decoders.noise @ root / known.molecules.sum()
        decoders = _Decoders(
            decoders.tight.moved(*to), decoders.loose.moved(*to), root @ decoders.covariance @ root, noise
        )
        z, mixture = (z - mean) @ back, mixture.moved(mean, back)
    assert mixture is not None  # there is at least one round
    prior = _assembled(mixture, axes, posterior, at.latent.cpu().double(), z, decoders, known.noise)
    drawn = posterior.draw(axes["root"], generator).to(start.bias)
    some = cells.first(dispersion_config.few_entries)
    around = drawn_dispersion(network, prior, some, dispersion_config, factors=drawn, technical=technical)
    prior = replace(prior, residual_shape=around.residual_shape)
    return LatentPriorFit(prior, "", drawn, config.rounds + 1, tuple(objective), converged)


def _approximated(
    network: CountNetwork,
    parameters: Parameters,
    cells: CellSample,
    z: Tensor,
    decoders: _Decoders,
    *,
    group: Tensor,
) -> CellInformation:
    """Newton step from the guesses ``z`` of cells that belong to groups ``(n, groups)``.

    For loadings ``w`` with mean ``m`` and covariance ``V`` the information on factors has the mean of ``w w'``, which
    is ``m m' + V``, and the slope that of ``w``: the noise, the sum of ``V`` per molecule, shrinks the factors.
    """
    loose = decoders.loose

    def slopes_of(given: tuple[CountBatch, slice]) -> tuple[Tensor, Tensor, Tensor]:
        batch, rows = given
        near = _laplace(network, parameters, batch, z[rows].to(loose.bias), loose)
        totals = batch.x.totals()
        return near.slope(loose.weight), totals, (group[rows].to(totals) / totals[:, None]).T @ near.weight

    found = spread(slopes_of, numbered(cells, cells.device), on=cells.device)
    slopes, totals, weights = zip(*found, strict=True)
    slope, molecules = (torch.cat(parts).cpu().double() for parts in (slopes, totals))
    weight = torch.stack(weights).sum(0) / group.sum(0).to(loose.bias).clamp_min(1e-6)[:, None]
    known = information(weight, loose.weight).cpu().double()

    def peaks_of(start: int) -> Tensor:
        some = slice(start, start + BLOCK)
        curvature = molecules[some, None, None] * (torch.einsum("ng,gij->nij", group[some], known) + decoders.noise)
        return unpenalised(newton_step(z[some], slope[some], curvature), curvature)

    peak = torch.cat(list(spread(peaks_of, range(0, len(z), BLOCK), on=z.device)))
    return CellInformation(peak, molecules, group, known, decoders.noise)


def _regressed(
    network: CountNetwork,
    parameters: Parameters,
    cells: CellSample,
    drawn: Tensor,
    decoders: _Decoders,
    group: Tensor,
    config: LatentPriorConfig,
    *,
    both: bool,
) -> _Decoders:
    """Newton step of the loadings given drawn factors; posterior means only if ``both`` are asked for."""
    start = decoders.loose
    sums = GeneRegressions(start.weight, drawn, group)

    def near(given: tuple[CountBatch, slice]) -> tuple[slice, Laplace]:
        batch, rows = given
        return rows, _laplace(network, parameters, batch, drawn[rows], start)

    for rows, at in spread(near, numbered(cells, cells.device), on=cells.device):
        sums.add(rows, at.weight, at.residual)
    prior = sums.learn_prior(guess=decoders.covariance, rounds=config.prior_rounds)
    found = []
    for how in (shrink, loosen) if both else (loosen,):
        change = sums.change(how, prior=prior)
        found.append(Loadings(start.weight + change, start.bias + sums.bias_change(change)))
    return _Decoders(found[0], found[-1], prior.covariance.double(), sums.noise(prior=prior).double())


def _laplace(
    network: CountNetwork, parameters: Parameters, batch: CountBatch, factors: Tensor, loadings: Loadings
) -> Laplace:
    offset = network.offset(batch.batch, factors)
    return laplace(batch.x.dense(), factors, loadings, dispersion=parameters.dispersion.total, offset=offset)


def _assembled(
    mixture: Mixture,
    axes: dict[str, Tensor],
    posterior: LatentPosterior,
    latent: Tensor,
    z: Tensor,
    decoders: _Decoders,
    noise: Tensor,
) -> LatentPrior:
    """Put the prior together, in the precision and on the device of the loadings."""
    inputs = torch.cat([latent, torch.ones_like(latent[:, :1])], 1)
    ridge = 1e-4 * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    entry = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ z)
    like = decoders.loose.bias
    parts = {name: value.to(like) for name, value in axes.items()}
    return LatentPrior(
        entry=entry.to(like),
        loadings=decoders.tight,
        loose=decoders.loose,
        stretch=mixture.stretch(posterior).to(like),
        noise=noise.to(like),
        residual_shape=torch.full_like(like, MAX_SHAPE),
        **(parts | {"centre": mixture.centre.to(like)}),
    )
