"""Stage: the model where training starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from scif.counts.consistency import CountConsistency
from scif.counts.data.dataset import CountDataset
from scif.counts.stages.batches import batch_start
from scif.counts.stages.start import choose_width, svd_scores, svd_start

if TYPE_CHECKING:
    from scif.counts.fit import CountSettings

__all__ = ["fit_start"]


def fit_start(
    dataset: CountDataset, settings: CountSettings, *, totals: np.ndarray, num_batches: int
) -> CountConsistency:
    """Build a model at a truncated SVD of the training molecules.

    Parameters
    ----------
    dataset
        Cells, with their held-out molecules left out.
    settings
        The model.
    totals
        Molecules of each gene over all cells, ``(genes,)``.
    num_batches
        Number of batches.
    """
    rng = np.random.default_rng([settings.seed, 3])
    rows = np.sort(rng.permutation(len(dataset))[: settings.config.start.cells])
    x = dataset.training_counts(rows)
    most = max(1, min(x.shape) - 1)
    width = choose_width(x, rng=rng, config=settings.config.start) if settings.n_latent is None else settings.n_latent
    module = settings.build(dataset.num_genes, num_batches=num_batches, width=min(width, most))
    network = module.network
    seen = totals if dataset.held_out is None else totals - np.asarray(dataset.held_out.counts.sum(0)).ravel()
    seen = np.where(totals > 0, seen.clip(0.5), 0.0)  # the network could not come back from nothing
    start = svd_start(x, network.width, profile=seen, rng=rng)
    network.start_from(start)
    if dataset.batch is not None:
        batches = batch_start(x, svd_scores(x, start), dataset.batch[rows], network.num_batches)
        network.start_batches(batches.shift, batches.offset)
    if settings.start == "pooled":
        with torch.no_grad():
            network.loadings.normal_(std=0.02)
    return module
