"""Diffusion paths for generative use: variance exploding and variance preserving."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scif.core._check import check_positive
from scif.core.path.affine import Affine, Coefficients

__all__ = ["VarianceExploding", "VariancePreserving"]


class VarianceExploding(Affine):
    r"""Noise that grows geometrically: :math:`x_t = x_0 + \frac{r^t - 1}{r - 1} (x_1 - x_0)`, ``r = ratio``.

    The observed end is the clean end plus noise of the largest scale, as from a Gaussian channel. The path is therefore
    a straight line with geometric timing: half the time is spent below ``1 / (1 + sqrt(ratio))`` of the noise.

    Parameters
    ----------
    ratio
        Ratio of the largest to the smallest noise scale, above 1.

    References
    ----------
    Song et al., "Score-based generative modeling through stochastic differential equations", ICLR 2021, section 3.4.

    Examples
    --------
    >>> import torch
    >>> from scif.core.path import VarianceExploding
    >>> x0, x1 = torch.zeros(1, 1), torch.full((1, 1), 11.0)
    >>> round(VarianceExploding(ratio=100.0).sample(x0, x1, torch.tensor([0.5])).x_t.item(), 4)
    1.0
    """

    def __init__(self, ratio: float = 100.0) -> None:
        check_positive(ratio - 1.0, name="ratio - 1")
        self.ratio = float(ratio)

    def coefficients(self, t: Tensor) -> Coefficients:
        """``beta = (ratio^t - 1) / (ratio - 1)`` and ``alpha = 1 - beta``."""
        rate = math.log(self.ratio)
        end = torch.expm1(torch.full_like(t, rate))  # in the precision of t, so that beta(1) is exactly 1
        beta, d_beta = torch.expm1(rate * t) / end, rate * torch.exp(rate * t) / end
        return Coefficients(1.0 - beta, beta, -d_beta, d_beta)


class VariancePreserving(Affine):
    r"""A rotation from data to noise: :math:`x_t = \cos(\pi t / 2) x_0 + \sin(\pi t / 2) x_1`.

    The path keeps the variance if both ends are independent and have the same variance; ``x1`` is the noise itself.
    This is the cosine schedule with exact ends.

    References
    ----------
    Nichol and Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, equation 17.

    Examples
    --------
    >>> import torch
    >>> from scif.core.path import VariancePreserving
    >>> c = VariancePreserving().coefficients(torch.tensor([0.3], dtype=torch.float64))
    >>> round((c.alpha**2 + c.beta**2).item(), 12)
    1.0
    """

    def coefficients(self, t: Tensor) -> Coefficients:
        """``alpha = cos(pi t / 2)`` and ``beta = sin(pi t / 2)``."""
        quarter = math.pi / 2.0
        # sin of the complement, so that alpha is exactly zero at t = 1
        alpha, beta = torch.sin(quarter * (1.0 - t)), torch.sin(quarter * t)
        return Coefficients(alpha, beta, -quarter * beta, quarter * alpha)
