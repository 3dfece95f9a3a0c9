"""Latent factors of cells and loadings of genes, as the trained module has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from scif.parallel import cores

if TYPE_CHECKING:
    from scif.counts.data.dataset import CountBatch
    from scif.model.icm import ICM

__all__ = ["factors", "loadings"]

#: Cells at a time, if nothing else is asked for.
CELLS = 256


@cores()
@torch.inference_mode()
def factors(model: ICM, adata: Any, indices: Any, *, give_cov: bool, batch_size: int | None) -> Any:
    """Posterior means ``(cells, k)``, and covariances ``(cells, k, k)`` if asked for."""
    _, dataset, rows = model._cells(adata, indices)
    module = model.module.eval()
    if give_cov and not module.prior.fitted:
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
    held = module.prior.loadings if module.prior.fitted else module.network.loadings
    values: np.ndarray = held.detach().cpu().numpy().copy()
    used = np.abs(values).max(0) > 0  # directions that training did not need
    return values[:, used] if used.any() else values[:, :1]


def _posterior(module: Any, cell: CountBatch, *, give_cov: bool) -> tuple[Tensor, Tensor | None]:
    """Mean and covariance of one minibatch."""
    one = torch.ones_like(cell.library)
    latent = module.network.latent(cell.x, one, library=cell.library, batch=cell.batch)
    if not module.prior.fitted:
        return _used(latent, module.network.loadings), None
    found = module._codes(cell.x, one, latent, cell.batch, own=give_cov)
    mean, held = found.mean(), module.prior.loadings
    if not give_cov:
        return _used(mean, held), None
    root = module.prior.root
    within = torch.einsum("nc,cka,nca,cla->nkl", found.weights, root, found.variances, root)
    apart = found.means - mean[:, None]
    covariance = within + torch.einsum("nc,nck,ncl->nkl", found.weights, apart, apart)
    return _used(mean, held), _used(_used(covariance, held).mT, held)


def _used(values: Tensor, loadings: Tensor) -> Tensor:
    """Those of the last axis that have loadings."""
    used = loadings.abs().amax(0) > 0
    return values[..., used] if bool(used.any()) else values[..., :1]
