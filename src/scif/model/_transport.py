"""Giving the latent code back the variance that a posterior mean lacks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scif.core.noise import NoiseModel
from scif.model._data import CountBatch
from scif.nn import CountConsistency

__all__ = ["latent_stretch"]

#: Largest stretch of a direction, for directions whose signal is all but lost.
MAX_STRETCH = 3.0


@torch.no_grad()
def latent_stretch(
    model: CountConsistency, cells: Sequence[CountBatch], noise: NoiseModel, *, generator: torch.Generator
) -> Tensor:
    r"""Linear map of the latent code that restores the variance of the signal.

    To first order the code is :math:`z = K y` of an observation ``y`` with signal covariance ``S``, and
    :math:`K = S (S + N)^{-1}` shrinks it, so that its covariance is :math:`M = K S`. Codes of re-noised estimates
    have covariance :math:`C = K M` with the codes they came from, which gives :math:`S = M C^{-1} M`. The result is
    the symmetric optimal transport map from covariance ``M`` to ``S``.

    Parameters
    ----------
    model
        The denoiser.
    cells
        Minibatches of counts.
    noise
        Channel of the counts.
    generator
        Source of randomness.

    Returns
    -------
    The map ``(k, k)``, and the centre around which it stretches as a last row.
    """
    codes, again = [], []
    for cell in cells:
        one = torch.ones_like(cell.library)
        codes.append(model.network.latent(cell.x, one, library=cell.library, batch=cell.batch))
        totals = cell.x.totals()
        x0 = model(cell.x, 1.0, library=totals, batch=cell.batch)
        renoised = noise.sample(x0, generator=generator)
        library = cell.library * renoised.sum(1) / totals
        again.append(model.network.latent(renoised, one, library=library, batch=cell.batch))
    z, z_again = torch.cat(codes).double(), torch.cat(again).double()
    centre = z.mean(0)
    z, z_again = z - centre, z_again - z_again.mean(0)
    values, vectors = torch.linalg.eigh(z.T @ z / len(z))
    kept = values > 1e-4 * values[-1]
    scale = values[kept].sqrt()
    white = vectors[:, kept] / scale
    # in whitened coordinates M = 1 and C = K, so that S = 1 / C
    shrinkage = (z_again @ white).T @ (z @ white) / len(z)
    share, directions = torch.linalg.eigh(0.5 * (shrinkage + shrinkage.T))
    gain = share.clamp(MAX_STRETCH**-2, 1.0).rsqrt()
    # the map from M to S that is symmetric in the original coordinates
    root = vectors[:, kept] * scale
    target = root @ (directions * gain.square()) @ directions.T @ root.T
    stretch = _transport(values, vectors, kept, target)
    return torch.cat([stretch, centre[None]]).to(model.residual_shape)


def _transport(values: Tensor, vectors: Tensor, kept: Tensor, target: Tensor) -> Tensor:
    """``M^{-1/2} (M^{1/2} S M^{1/2})^{1/2} M^{-1/2}`` on the kept directions, the identity on the others."""
    basis, root = vectors[:, kept], values[kept].sqrt()
    middle = root[:, None] * (basis.T @ target @ basis) * root
    inner, axes = torch.linalg.eigh(0.5 * (middle + middle.T))
    square_root = (axes * inner.clamp_min(0.0).sqrt()) @ axes.T
    inside = basis @ (square_root / root[:, None] / root) @ basis.T
    return inside + torch.eye(len(vectors), dtype=vectors.dtype, device=vectors.device) - basis @ basis.T
