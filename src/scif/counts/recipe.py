"""The stages after the network, as a recipe: one line a stage."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from scif.counts.config import CountConfig
from scif.counts.data.batch import GatheredCounts
from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.factors import StandardFactors, standard_factors
from scif.counts.posterior.parameters import Parameters
from scif.counts.progress import StageProgress
from scif.counts.report import StageRecord
from scif.counts.stages.cell_scale import fit_cell_scale
from scif.counts.stages.depth_trend import fit_depth_trend
from scif.counts.stages.dispersion import fit_dispersion, passes
from scif.counts.stages.gene_totals import GeneTotals, fit_gene_totals
from scif.counts.stages.latent_prior import LatentPriorFit, fit_latent_prior
from scif.counts.stages.loadings import fit_loadings
from scif.counts.stages.shared_genes import fit_shared_genes
from scif.counts.stages.uncertainty import fit_uncertainty

__all__ = ["RECIPE", "STAGES", "Inputs", "Stage", "StageData", "StagesDone", "reset", "run_stages"]


@dataclass(frozen=True)
class StageData:
    """Cells and choices that the stages need.

    Attributes
    ----------
    cells
        Cells of which genes, loadings and the prior are learned.
    reference
        Cells of which dispersions are estimated.
    technical
        Technical inverse dispersion, one number or ``(genes,)``.
    anchored
        Whether the network was trained with the anchor; loadings and prior need that.
    prior_share
        Weight of the composition under the prior; zero for no prior.
    seed
        Seed of everything that is drawn.
    """

    cells: CellSample
    reference: CellSample
    technical: torch.Tensor | float
    anchored: bool = True
    prior_share: float = 0.5
    seed: int = 0


class Inputs:
    """Inputs of a stage: the network, earlier results, cells and constants; shared work is done once."""

    def __init__(self, network: CountNetwork, parameters: Parameters, data: StageData, config: CountConfig) -> None:
        self.network, self.parameters, self.data, self.config = network, parameters, data, config

    @cached_property
    def gathered(self) -> GatheredCounts:
        """All cells put together."""
        return self.data.cells.gathered()

    @cached_property
    def factors(self) -> StandardFactors:
        """Latent factors of all cells."""
        return standard_factors(self.network, self.data.cells)

    def generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Source of randomness of a stage, its own."""
        return torch.Generator(device).manual_seed(self.data.seed)


@dataclass(frozen=True)
class Stage:
    """One line of the recipe.

    Attributes
    ----------
    name
        Its name.
    fit
        Gives the stage's frozen result; None if there is nothing to do.
    keep
        Parameters with that result.
    needs_anchor
        Whether it is left out for a network that was trained without the anchor.
    """

    name: str
    fit: Callable[[Inputs], Any]
    keep: Callable[[Parameters, Any], Parameters]
    needs_anchor: bool = False


def _network_dispersion(given: Inputs) -> Any:
    cells, config = given.data.reference.first(given.config.dispersion.few_entries), given.config.dispersion
    return fit_dispersion(
        given.network,
        given.parameters,
        cells,
        config,
        technical=given.data.technical,
        generator=given.generator(cells.device),
    )


def _shared_genes(given: Inputs) -> Any:
    rng, config = np.random.default_rng(given.data.seed), given.config.shared_genes
    return fit_shared_genes(given.network, given.parameters, given.data.cells, given.gathered, config, rng=rng)


def _depth_trend(given: Inputs) -> Any:
    return fit_depth_trend(given.network, given.parameters, given.gathered, given.config.depth_trend)


def _loadings(given: Inputs) -> Any:
    config = given.config.loadings
    return fit_loadings(given.network, given.parameters, given.data.cells, config, at=given.factors)


def _latent_prior(given: Inputs) -> Any:
    if given.data.prior_share == 0.0:
        return LatentPriorFit(None, "not asked for")
    return fit_latent_prior(
        given.network,
        given.parameters,
        given.data.cells,
        given.config.latent_prior,
        dispersion_config=given.config.dispersion,
        at=given.factors,
        technical=given.data.technical,
        generator=given.generator(),
    )


def _dispersion(given: Inputs) -> Any:
    cells, config = given.data.reference, given.config.dispersion
    return fit_dispersion(
        given.network,
        given.parameters,
        cells,
        config,
        technical=given.data.technical,
        generator=given.generator(cells.device),
        times=passes(cells, config),
    )


def _cell_scale(given: Inputs) -> Any:
    return fit_cell_scale(given.network, given.parameters, given.data.reference, given.config.cell_scale)


def _gene_totals(given: Inputs) -> Any:
    return fit_gene_totals(given.network, given.parameters, given.gathered, given.config.gene_totals)


def _uncertainty(given: Inputs) -> Any:
    counts = given.gathered.x
    return fit_uncertainty(
        given.network,
        given.parameters,
        given.data.reference,
        given.config.dispersion,
        fitted_to=(counts.shape[0], float(counts.sum()) / counts.shape[0]),
        technical=given.data.technical,
        generator=given.generator(),
    )


def _with_totals(parameters: Parameters, totals: GeneTotals | None) -> Parameters:
    if totals is None:
        return parameters
    trend = parameters.trend
    if trend is not None and totals.bias is not None:
        trend = replace(trend, bias=totals.bias, fitted_bias=trend.bias)
    return replace(parameters, profile=totals.profile, pooled=parameters.profile, trend=trend)


#: The order is that of the model's page: what cells share, then what is a gene's own, then a cell's, then totals.
RECIPE = (
    Stage("network_dispersion", _network_dispersion, lambda p, fit: replace(p, dispersion=fit, provisional=fit)),
    Stage("shared_genes", _shared_genes, lambda p, fit: replace(p, credibility=fit.credibility)),
    Stage("depth_trend", _depth_trend, lambda p, fit: replace(p, trend=fit.trend)),
    Stage("loadings", _loadings, lambda p, fit: replace(p, loadings=fit.loadings), needs_anchor=True),
    Stage("latent_prior", _latent_prior, lambda p, fit: replace(p, prior=fit.prior), needs_anchor=True),
    Stage("first_cell_scale", _cell_scale, lambda p, fit: replace(p, cell_scale=fit.scale)),
    Stage("dispersion", _dispersion, lambda p, fit: replace(p, dispersion=fit)),
    Stage("cell_scale", _cell_scale, lambda p, fit: replace(p, cell_scale=fit.scale)),
    Stage("gene_totals", _gene_totals, _with_totals),
    Stage("uncertainty", _uncertainty, lambda p, fit: replace(p, uncertainty=fit), needs_anchor=True),
)
#: Names of the stages, in their order.
STAGES = tuple(stage.name for stage in RECIPE)


def reset(parameters: Parameters, first: str) -> Parameters:
    """Parameters as they were before the stage ``first``.

    Raises
    ------
    ValueError
        If there is no such stage.
    """
    if first not in STAGES:
        msg = f"stage is {first!r}; choose one of {', '.join(STAGES)}."
        raise ValueError(msg)
    kept = STAGES[: STAGES.index(first)]
    trend = parameters.trend
    if trend is not None and trend.fitted_bias is not None:
        trend = replace(trend, bias=trend.fitted_bias, fitted_bias=None)
    return replace(
        parameters,
        profile=parameters.profile if parameters.pooled is None else parameters.pooled,
        pooled=None,
        dispersion=parameters.dispersion
        if "dispersion" in kept or parameters.provisional is None
        else parameters.provisional,
        credibility=parameters.credibility if "shared_genes" in kept else None,
        trend=trend if "depth_trend" in kept else None,
        loadings=parameters.loadings if "loadings" in kept else None,
        prior=parameters.prior if "latent_prior" in kept else None,
        cell_scale=parameters.cell_scale if "first_cell_scale" in kept else None,
        uncertainty=None,
    )


@dataclass(frozen=True)
class StagesDone:
    """Parameters after the stages, and their records.

    Attributes
    ----------
    parameters
        Results of the stages that succeeded.
    records
        One for each stage that ran.
    interrupted
        Whether a stage was stopped by hand.
    """

    parameters: Parameters
    records: tuple[StageRecord, ...]
    interrupted: bool = False


def run_stages(
    network: CountNetwork,
    parameters: Parameters,
    data: StageData,
    config: CountConfig,
    *,
    first: str = STAGES[0],
    progress: bool = False,
) -> StagesDone:
    """Run the stages from ``first`` on; a stage that fails or is stopped by hand leaves all before it in use.

    Parameters
    ----------
    network
        The trained network, which stays as it is.
    parameters
        Results of earlier stages.
    data
        Cells and choices.
    config
        Constants of the stages.
    first
        Stage to begin with, one of :data:`STAGES`.
    progress
        Whether to show a bar that names the stage.
    """
    given = Inputs(network, reset(parameters, first), data, config)
    todo = [stage for stage in RECIPE[STAGES.index(first) :] if data.anchored or not stage.needs_anchor]
    bar = StageProgress(tuple(stage.name for stage in todo), enabled=progress)
    records: list[StageRecord] = []
    for stage in todo:
        start, error = time.perf_counter(), None
        try:
            with bar.stage(stage.name):
                fit = stage.fit(given)
            given.parameters = stage.keep(given.parameters, fit)
        except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001  (whatever it is, the network is not lost)
            error = caught
        records.append(_record(stage.name, time.perf_counter() - start, None if error else fit, error))
        if error is not None:
            _warn_stopped(stage.name, error)
            break
    bar.close()
    _warn_unconverged(records)
    return StagesDone(given.parameters, tuple(records), isinstance(error, KeyboardInterrupt))


def _record(name: str, seconds: float, fit: Any, error: BaseException | None) -> StageRecord:
    if error is not None:
        return StageRecord(name, seconds, error=f"{type(error).__name__}: {error}")
    return StageRecord(
        name,
        seconds,
        decision=getattr(fit, "decision", ""),
        rounds=getattr(fit, "rounds", 0),
        objective=getattr(fit, "objective", ()),
        converged=getattr(fit, "converged", None),
    )


def _warn_stopped(name: str, error: BaseException) -> None:
    what = "was interrupted" if isinstance(error, KeyboardInterrupt) else f"failed ({type(error).__name__}: {error})"
    warnings.warn(
        f"The stage {name!r} {what}. The network and earlier stages are in use; {name!r} and later stages are "
        f"missing. Call model.refit({name!r}) to run them.",
        UserWarning,
        stacklevel=4,
    )


def _warn_unconverged(records: list[StageRecord]) -> None:
    names = [record.stage for record in records if record.converged is False]
    if names:
        warnings.warn(
            f"The iterations of {', '.join(names)} ended before they reached their tolerance; the report has their "
            "objective. Results are usable; raise the stage's rounds in CountConfig if they matter.",
            UserWarning,
            stacklevel=4,
        )
