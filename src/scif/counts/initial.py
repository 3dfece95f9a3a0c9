"""The model where training starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from scif.counts.consistency import CountConsistency
from scif.counts.data.dataset import CountDataset
from scif.counts.network import CountNetwork
from scif.counts.settings import CountSettings
from scif.counts.stages.batches import fit_batches, reference_profile, start_rows
from scif.counts.stages.start import choose_width, svd_start

__all__ = ["average_profile", "fit_start"]


def fit_start(
    dataset: CountDataset, settings: CountSettings, *, totals: np.ndarray, batches: Sequence[object]
) -> CountConsistency:
    """Build a model at a truncated SVD of the training molecules, with the offsets of the batches.

    Parameters
    ----------
    dataset
        Cells, with their held-out molecules left out.
    settings
        The model.
    totals
        Molecules of each gene over the cells of each batch, ``(batches, genes)``.
    batches
        Names of the batches.
    """
    config, every = settings.config.start, totals.sum(0)
    rng = np.random.default_rng([settings.seed, 3])
    rows = start_rows(rng.permutation(len(dataset)), config.cells, dataset.batch)
    x = dataset.training_counts(rows)
    codes = offset = fit = None
    if dataset.batch is not None:
        codes = dataset.batch[rows]
        fit = fit_batches(x, codes, num_batches=len(batches), rng=rng)
        fit.warn(batches)
        offset = fit.offset
    width = settings.n_latent
    if width is None:
        width = choose_width(x, rng=rng, config=config, batch=codes, offset=offset)
    most = max(1, min(x.shape) - 1)
    module = settings.build(dataset.num_genes, num_batches=len(batches), width=min(width, most))
    network = module.network
    seen = every if dataset.held_out is None else every - np.asarray(dataset.held_out.counts.sum(0)).ravel()
    seen = np.where(every > 0, seen.clip(0.5), 0.0)  # the network could not come back from nothing
    if fit is not None:
        network.set_batches(torch.from_numpy(fit.offset), torch.from_numpy(fit.present))
    start = svd_start(x, network.width, profile=seen, rng=rng, batch=codes, offset=offset)
    if fit is not None:  # the bias is that of the average batch
        ratio = reference_profile(totals, fit.offset) / (every / every.sum()).clip(1e-30)
        start = replace(start, profile=start.profile * torch.from_numpy(ratio).to(start.profile))
    network.start_from(start)
    if settings.start == "pooled":
        with torch.no_grad():
            network.loadings.normal_(std=0.02)
    return module


def average_profile(network: CountNetwork, totals: np.ndarray) -> np.ndarray:
    """Pooled composition of the average batch ``(genes,)``, given totals ``(batches, genes)``."""
    offsets = network.batch_offsets
    if offsets is None:
        every: np.ndarray = totals.sum(0)
        return every / every.sum()
    return reference_profile(totals, offsets[: len(totals)].cpu().numpy())
