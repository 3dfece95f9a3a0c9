"""The count method on arrays, in one call."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from scif.counts.consistency import CountConsistency
from scif.counts.data.batch import cached_cells
from scif.counts.data.dataset import CountDataset
from scif.counts.data.held_out import hold_out
from scif.counts.data.sample import CellSample
from scif.counts.frozen import to_device
from scif.counts.initial import average_profile, fit_start
from scif.counts.options import FitOptions
from scif.counts.posterior.parameters import Parameters
from scif.counts.recipe import STAGES, StageData, StagesDone, run_stages
from scif.counts.report import FitReport, StageRecord
from scif.counts.resuming import told
from scif.counts.settings import CountSettings
from scif.counts.stages.dispersion import moment_dispersion
from scif.counts.stages.network import NetworkFit, fit_network
from scif.counts.statistics.replicates import CELLS as REPLICATE_CELLS
from scif.counts.statistics.replicates import replicate_dispersion
from scif.parallel import cores

__all__ = ["Fit", "fit_dataset", "refit_dataset"]

#: Cells of a minibatch of those that dispersions are estimated of; their draws do not depend on how training went.
CELLS = 128


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    module
        Network and parameters.
    report
        What each stage did.
    history
        Learning curves by name.
    network
        How the network was trained; None after a refit.
    seed
        Seed of the stages.
    """

    module: CountConsistency
    report: FitReport
    history: dict[str, pd.DataFrame]
    network: NetworkFit | None = None
    seed: int = 0


@cores()
def fit_dataset(
    dataset: CountDataset,
    settings: CountSettings,
    options: FitOptions,
    *,
    batches: Sequence[object] = ("all",),
    before: Fit | None = None,
    **trainer_options: Any,
) -> Fit:
    """Fit the count model: start, network, and the stages of :data:`~scif.counts.recipe.RECIPE`.

    Parameters
    ----------
    dataset
        All cells.
    settings, options
        The model, and how to train it.
    batches
        Names of the batches, in the order of their codes.
    before
        An earlier fit from which training goes on; it stays as it is.
    **trainer_options
        Arguments of Lightning's trainer, and ``checkpoint_dir``.
    """
    config = settings.config
    done = 0 if before is None else max((len(curve) for curve in before.history.values()), default=0)
    seed = settings.seed + done
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        totals = dataset.gene_totals()  # by batch; a sample of cells may lack a gene
        training = dataset
        if options.early_stopping:
            rng = np.random.default_rng([settings.seed, 1])  # the same molecules in every training of this model
            held_out = hold_out(dataset, options.held_out, rng=rng, config=config.network)
            if held_out is None:
                options = replace(options, early_stopping=False)
                warnings.warn(
                    f"held_out={options.held_out:g} of {totals.sum():,.0f} molecules leaves none for "
                    "validation, so training runs without early stopping. Raise held_out if there are enough "
                    "molecules.",
                    UserWarning,
                    stacklevel=3,
                )
            else:
                training = dataset.with_held_out(held_out)
        rows = _samples(dataset, settings)
        with training.held(rows.cells):
            records: list[StageRecord] = []
            if before is None:
                begin = time.perf_counter()
                module = fit_start(training, settings, totals=totals, batches=batches)
                reference = _sample(training, rows.reference, CELLS)
                few = reference.first(config.dispersion.few_entries)
                technical = technical_dispersion(dataset, settings)
                moments = moment_dispersion(module.network, module.fitted, few, technical=technical)
                module.fitted = replace(module.fitted, dispersion=moments)
                records.append(
                    StageRecord("start", time.perf_counter() - begin, f"{module.network.width} SVD components")
                )
            else:
                module = copy.deepcopy(before.module)
            profile = torch.from_numpy(average_profile(module.network, totals)).to(module.network.bias)
            module.fitted = _without_stages(module.fitted, profile, options.prior_share)
            begin = time.perf_counter()
            network = fit_network(
                module,
                training,
                options,
                config.network,
                noise=settings.channel(module.fitted),
                seed=seed,
                history=None if before is None else before.history,
                about=told(dataset, totals, settings, options, epochs_before=done),
                **trainer_options,
            )
            records.append(StageRecord("network", time.perf_counter() - begin, network.decision))
            module.eval()
            data = stage_data(training, settings, options, device=module.device, seed=seed)
            stages = _on_one_process(module, data, settings, progress=options.progress)
    module.fitted = to_device(stages.parameters, module.device)
    if network.checkpoint is not None:
        network.checkpoint.unlink(missing_ok=True)  # the run is over; another begins anew
    interrupted = network.interrupted or stages.interrupted
    report = FitReport((*records, *stages.records), options.mode, interrupted)
    return Fit(module, report, network.history, network, seed)


@cores()
def refit_dataset(
    dataset: CountDataset, settings: CountSettings, options: FitOptions, *, before: Fit, first: str
) -> Fit:
    """Run the stages from ``first`` on again, without training the network."""
    module = copy.deepcopy(before.module).eval()
    data = stage_data(dataset, settings, options, device=module.device, seed=before.seed)
    with dataset.held(_samples(dataset, settings).cells):
        config = settings.config
        stages = run_stages(module.network, module.fitted, data, config, first=first, progress=options.progress)
    module.fitted = to_device(stages.parameters, module.device)
    kept = tuple(r for r in before.report.stages if r.stage not in STAGES[STAGES.index(first) :])
    return Fit(module, FitReport((*kept, *stages.records), before.report.consistency), before.history, seed=before.seed)


@dataclass(frozen=True)
class _Rows:
    cells: np.ndarray
    reference: np.ndarray


def _samples(dataset: CountDataset, settings: CountSettings) -> _Rows:
    """Cells of the stages, and those of which dispersions are estimated."""
    config = settings.config
    many = np.sort(np.random.default_rng([settings.seed, 5]).permutation(len(dataset))[: config.start.cells])
    count = int(np.clip(config.reference_entries // dataset.num_genes, 64, 8192))
    reference = np.random.default_rng([settings.seed, 2]).permutation(len(dataset))[:count]
    return _Rows(many, reference)


def technical_dispersion(dataset: CountDataset, settings: CountSettings) -> torch.Tensor | float:
    """Technical inverse dispersion: as given, or that between cells that are as good as replicates."""
    if settings.technical is not None:
        return settings.technical
    rng = np.random.default_rng([settings.seed, 6])
    rows = np.sort(rng.permutation(len(dataset))[:REPLICATE_CELLS])
    found = replicate_dispersion(dataset.counts(rows), rng=rng).technical
    return 1.0 / found if found > 0 else math.inf


def _sample(dataset: CountDataset, rows: np.ndarray, size: int, device: Any = "cpu") -> CellSample:
    return CellSample(dataset, rows, size, torch.device(device))


def stage_data(
    dataset: CountDataset, settings: CountSettings, options: FitOptions, *, device: torch.device, seed: int
) -> StageData:
    """Cells and choices for the stages."""
    rows = _samples(dataset, settings)
    return StageData(
        _sample(dataset, rows.cells, cached_cells(dataset.num_genes), device),
        _sample(dataset, rows.reference, CELLS, device),
        technical_dispersion(dataset, settings),
        anchored=options.anchor_weight > 0,
        prior_share=options.prior_share,
        seed=seed,
    )


def _without_stages(parameters: Parameters, profile: torch.Tensor, prior_share: float) -> Parameters:
    """Parameters during training: the pooled profile and the dispersions."""
    return Parameters(profile, parameters.dispersion, residual=parameters.residual, prior_share=prior_share)


def _on_one_process(
    module: CountConsistency, data: StageData, settings: CountSettings, *, progress: bool
) -> StagesDone:
    """Run the stages once, in the first process, and give all others the result."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not distributed or torch.distributed.get_world_size() == 1:
        return run_stages(module.network, module.fitted, data, settings.config, progress=progress)
    result: list[Any] = [None]
    if torch.distributed.get_rank() == 0:
        result = [run_stages(module.network, module.fitted, data, settings.config, progress=progress)]
    torch.distributed.broadcast_object_list(result)
    stages: StagesDone = result[0]
    return stages
