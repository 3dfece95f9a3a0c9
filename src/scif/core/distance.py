"""Distances between a prediction and its target, one number per sample."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import check_positive, check_same_shape

__all__ = ["Distance", "PoissonDeviance", "PseudoHuber", "SquaredError"]


class Distance:
    """Distance ``(prediction, target) -> (batch,)``, averaged over the entries of a sample."""

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Distance of each sample.

        Parameters
        ----------
        prediction
            What the network says, ``(batch, ...)``.
        target
            What it should say, of the same shape.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        check_same_shape(prediction, target, names=("prediction", "target"))
        return self.measure(prediction, target)

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the distance of two tensors of the same shape."""
        raise NotImplementedError


class SquaredError(Distance):
    """Mean squared difference; its minimiser is the conditional mean.

    Examples
    --------
    >>> import torch
    >>> from scif.core import SquaredError
    >>> SquaredError()(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 0.0]])).tolist()
    [5.0]
    """

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean over entries of the squared difference."""
        return (prediction - target).square().flatten(1).mean(1)


class PseudoHuber(Distance):
    r"""Smooth absolute distance of whole samples, :math:`\sqrt{\|d\|^2 / n + c^2} - c` for ``n`` entries.

    It is quadratic below ``c`` and linear above it. The square root is taken of the *vector* norm, so the behaviour
    does not depend on the size of a sample. Do not use it for velocities: their target is a mean, and robust losses
    bias it.

    Parameters
    ----------
    c
        Root mean squared difference, on the scale of the data, at which the distance changes from quadratic to linear.

    References
    ----------
    Song and Dhariwal, "Improved techniques for training consistency models", ICLR 2024, section 3.3
    (``c = 0.00054 sqrt(n)`` on the norm, which is 0.00054 here).

    Examples
    --------
    >>> import torch
    >>> from scif.core import PseudoHuber
    >>> PseudoHuber(c=3.0)(torch.full((1, 9), 4.0), torch.zeros(1, 9)).tolist()
    [2.0]
    """

    def __init__(self, c: float = 0.00054) -> None:
        check_positive(c, name="c")
        self.c = float(c)

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Pseudo-Huber function of the root mean squared difference."""
        return ((prediction - target).square().flatten(1).mean(1) + self.c**2).sqrt() - self.c


class PoissonDeviance(Distance):
    r"""Mean Poisson deviance :math:`2 (y \log(y / \mu) - y + \mu)` of targets ``y`` from predictions ``mu``.

    This is a Bregman divergence: its minimiser is the conditional mean, as for the squared error, but it weights
    entries by their variance, which suits counts.

    Parameters
    ----------
    floor
        Lower bound of predictions, so that a zero prediction of a positive target has a large but finite loss.

    Examples
    --------
    >>> import torch
    >>> from scif.core import PoissonDeviance
    >>> PoissonDeviance()(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 2.0]])).tolist()
    [1.0]
    """

    def __init__(self, floor: float = 1e-8) -> None:
        check_positive(floor, name="floor")
        self.floor = float(floor)

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean deviance over entries."""
        if not torch.compiler.is_compiling() and min(float(prediction.detach().min()), float(target.min())) < 0.0:
            low = min(float(prediction.detach().min()), float(target.min()))
            msg = f"PoissonDeviance got the value {low:g}; predictions and targets must not be negative."
            raise ValueError(msg)
        mean = prediction.clamp_min(self.floor)
        deviance = 2.0 * (torch.xlogy(target, target) - torch.xlogy(target, mean) - target + mean)
        return deviance.flatten(1).mean(1)
