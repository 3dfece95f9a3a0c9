"""Scales of the data and of the noise, which put a network's input and output at order one."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from scif.core._check import check_batch, check_positive, expand_time
from scif.core.noise.base import NoiseModel

__all__ = ["Scaling"]


class Scaling(nn.Module):
    r"""Location and scale of ``x_t = x0 + t (x1 - x0)``, which has variance :math:`\sigma_d^2 + t^2 \sigma^2`.

    Parameters
    ----------
    data_mean
        Mean of the clean signal; a number, or a tensor that broadcasts against one sample.
    data_scale
        Standard deviation :math:`\sigma_d` of the clean signal.
    noise_scale
        Standard deviation :math:`\sigma` of the noise.

    Examples
    --------
    >>> import torch
    >>> from scif.core.scaling import Scaling
    >>> Scaling(data_mean=1.0, data_scale=3.0, noise_scale=4.0).normalize(torch.tensor([[11.0]]), torch.tensor([1.0]))
    tensor([[2.]])
    """

    data_mean: Tensor
    data_scale: Tensor
    noise_scale: Tensor

    def __init__(
        self, *, data_mean: float | Tensor = 0.0, data_scale: float | Tensor = 1.0, noise_scale: float | Tensor = 1.0
    ) -> None:
        super().__init__()
        check_positive(data_scale, name="data_scale")
        check_positive(noise_scale, name="noise_scale")
        for name, value in (("data_mean", data_mean), ("data_scale", data_scale), ("noise_scale", noise_scale)):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.get_default_dtype()).detach().clone())

    @classmethod
    def calibrated(cls, x1: Tensor, noise: NoiseModel, *, per_feature: bool = False) -> Scaling:
        """Estimate the scales from observations and the channel's moments.

        The variance of the observations is that of the noise plus that of the signal. The noise variance is the
        channel's variance at the observations. If the channel has a linear bias, it is inverted to get the mean and
        scale of the signal.

        Parameters
        ----------
        x1
            Observations ``(n, ...)``, a few hundred or more.
        noise
            Channel of the observations.
        per_feature
            Use one scale for each entry of dimension 1 (feature of a vector, channel of an image) instead of one for
            all.

        Raises
        ------
        ValueError
            If the observations are not finite or are constant.

        Warns
        -----
        UserWarning
            If the noise explains more than 99% of the variance, so the scale of the signal is only a guess.
        """
        check_batch(x1, name="x1")
        x1 = x1.detach()
        if x1.shape[0] < 2 or not bool(torch.isfinite(x1).all()):
            msg = f"x1 has shape {tuple(x1.shape)}; pass at least two observations, all of them finite."
            raise ValueError(msg)
        dims = [d for d in range(x1.ndim) if not (per_feature and d == 1)]

        def mean(x: Tensor) -> Tensor:
            return x.mean(dims, keepdim=True)

        total = mean((x1 - mean(x1)).square())
        check_positive(total, name="variance of x1")
        stand_in = noise.support_x0.project(x1)
        moments = noise.moments(stand_in)
        noise_variance = mean(moments.variance.expand_as(x1))
        slope, offset = torch.ones_like(total), torch.zeros_like(total)
        if not noise.unbiased:
            centred = stand_in - mean(stand_in)
            slope = mean(centred * moments.mean) / mean(centred.square())
            check_positive(slope, name="slope of the channel's mean")
            offset = mean(moments.mean) - slope * mean(stand_in)
        signal_variance = total - noise_variance
        if bool((signal_variance < 0.01 * total).any()):
            share = float((noise_variance / total).max())
            warnings.warn(
                f"the channel's variance is {share:.0%} of that of the observations: "
                "the scale of the signal is taken as a tenth of theirs. Check the channel's parameters.",
                stacklevel=2,
            )
            signal_variance = torch.maximum(signal_variance, 0.01 * total)
        return cls(
            data_mean=((mean(x1) - offset) / slope).squeeze(0),
            data_scale=(signal_variance.sqrt() / slope).squeeze(0),
            noise_scale=noise_variance.sqrt().squeeze(0),
        )

    def noise_at(self, t: Tensor, x: Tensor) -> Tensor:
        """Standard deviation ``t * noise_scale`` of the noise at times ``(batch,)``, broadcasting over ``x``."""
        return expand_time(t, x) * self.noise_scale.to(x.dtype)

    def spread(self, t: Tensor, x: Tensor) -> Tensor:
        """Standard deviation of ``x_t``, broadcasting over ``x``."""
        return (self.data_scale.to(x.dtype).square() + self.noise_at(t, x).square()).sqrt()

    def normalize(self, x: Tensor, t: Tensor) -> Tensor:
        """Standardise ``x_t`` to mean zero and variance one, for the network's input."""
        return (x - self.data_mean.to(x.dtype)) / self.spread(t, x)
