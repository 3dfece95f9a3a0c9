"""Latent factors of cells and loadings of genes, as the trained module has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from scif.counts.consistency import CountConsistency
from scif.counts.posterior.expectation import latent_factors, posterior_factors
from scif.counts.posterior.parameters import Loadings
from scif.model.arguments import check_batch_size
from scif.parallel import cores

if TYPE_CHECKING:
    from scif.counts.data.batch import CountBatch
    from scif.model.icm import ICM

__all__ = ["factors", "loadings"]

#: Cells at a time, if nothing else is asked for.
CELLS = 256


@cores()
@torch.inference_mode()
def factors(model: ICM, adata: Any, indices: Any, *, give_cov: bool, batch_size: int | None) -> Any:
    """Posterior means ``(cells, k)``, and covariances ``(cells, k, k)`` if asked for."""
    check_batch_size(batch_size)
    _, dataset, rows = model._cells(adata, indices)
    module = model.module.eval()
    if give_cov and module.fitted.prior is None:
        msg = (
            "give_cov is True, but the model has no distribution of the latent factors: it was trained on fewer than "
            "40 cells, or on cells that differ by no more than noise. Leave give_cov out."
        )
        raise ValueError(msg)
    width = loadings(model).shape[1]
    mean = np.empty((len(rows), width), dtype=np.float32)
    covariance = np.empty((len(rows), width, width) if give_cov else 0, dtype=np.float32)
    start = 0
    for cell in dataset.batches(rows, batch_size=batch_size or CELLS):
        found = _posterior(module, cell.to(module.device), give_cov=give_cov)
        end = start + len(found[0])
        mean[start:end] = found[0].cpu().numpy()
        if found[1] is not None:
            covariance[start:end] = found[1].cpu().numpy()
        start = end
    return (mean, covariance) if give_cov else mean


def loadings(model: ICM) -> np.ndarray:
    """Loadings ``(genes, k)`` that belong to the factors."""
    module = model.module
    held = _loadings(module).weight
    values: np.ndarray = held.detach().cpu().numpy().copy()
    used = np.abs(values).max(0) > 0  # directions that training did not need
    return values[:, used] if used.any() else values[:, :1]


def _loadings(module: CountConsistency) -> Loadings:
    """Loadings of the factors that the getters give."""
    fitted = module.fitted
    if fitted.prior is not None:
        return fitted.prior.loadings
    return module.network.output if fitted.loadings is None else fitted.loadings


def _posterior(module: CountConsistency, cells: CountBatch, *, give_cov: bool) -> tuple[Tensor, Tensor | None]:
    """Mean and covariance of one minibatch."""
    latent, weight = latent_factors(module.network, cells), _loadings(module).weight
    prior = module.fitted.prior
    if prior is None:
        return _used(latent, weight), None
    posterior = posterior_factors(module.network, module.fitted, cells, latent, exact=give_cov)
    mean = _used(posterior.mean(), weight)
    if not give_cov:
        return mean, None
    return mean, _used(_used(posterior.covariance(prior.root), weight).mT, weight)


def _used(values: Tensor, loadings: Tensor) -> Tensor:
    """Those of the last axis that have loadings."""
    used = loadings.abs().amax(0) > 0
    return values[..., used] if bool(used.any()) else values[..., :1]
