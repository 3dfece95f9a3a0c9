"""Gene-specific variation beside technical noise: gamma shapes, and the share of a deviation that is signal."""

from __future__ import annotations

from torch import Tensor

__all__ = ["combined_shape", "signal_share"]


def combined_shape(shape: Tensor, technical: Tensor | None) -> Tensor:
    """Gamma shape of gene-specific and technical variation together; ``technical`` is None for Poisson noise."""
    return shape if technical is None else 1.0 / (1.0 / shape + 1.0 / technical + 1.0 / (shape * technical))


def signal_share(mu: Tensor, shape: Tensor, technical: Tensor | None, *, noise: Tensor | float = 1.0) -> Tensor:
    r"""Share of a deviation from the expectation ``mu`` that is signal, see ``CountConsistency``.

    Parameters
    ----------
    mu
        Expected counts.
    shape
        Gamma shape of the signal around them.
    technical
        Technical inverse dispersion; None for Poisson noise.
    noise
        Variance of the noise, as a share of that of counts: :math:`t^2`.
    """
    against = shape if technical is None else shape + mu * ((shape + 1.0) / technical)
    mu = mu.clamp_min(1e-30)
    return mu / (mu + noise * against)
