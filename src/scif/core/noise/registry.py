"""Noise channels by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from scif.core.noise.base import NoiseModel
from scif.core.noise.binomial import Binomial
from scif.core.noise.correlated_gaussian import CorrelatedGaussian
from scif.core.noise.gamma import Gamma
from scif.core.noise.gaussian import Gaussian
from scif.core.noise.jacobi import Jacobi
from scif.core.noise.multinomial import Multinomial
from scif.core.noise.negative_binomial import NegativeBinomial
from scif.core.noise.poisson import Poisson
from scif.core.noise.poisson_gaussian import PoissonGaussian
from scif.core.noise.rayleigh import Rayleigh
from scif.core.noise.sde import SDEChannel
from scif.core.noise.simulator import Simulator

__all__ = ["NOISE_CHANNELS", "noise_channel"]

NOISE_CHANNELS: Mapping[str, type[NoiseModel]] = MappingProxyType(
    {
        "binomial": Binomial,
        "correlated_gaussian": CorrelatedGaussian,
        "gamma": Gamma,
        "gaussian": Gaussian,
        "jacobi": Jacobi,
        "multinomial": Multinomial,
        "nb": NegativeBinomial,
        "negative_binomial": NegativeBinomial,
        "poisson": Poisson,
        "poisson_gaussian": PoissonGaussian,
        "rayleigh": Rayleigh,
        "sde": SDEChannel,
        "simulator": Simulator,
    }
)
"""Every channel that has a name."""


def noise_channel(channel: str | NoiseModel, **parameters: Any) -> NoiseModel:
    """A channel by name, or the one given.

    Parameters
    ----------
    channel
        A name in ``NOISE_CHANNELS``, or a channel, which is returned as it is.
    **parameters
        Arguments of the named channel.

    Raises
    ------
    ValueError
        If the name is unknown, or parameters come with a channel that has its own.

    Examples
    --------
    >>> from scif.core.noise import noise_channel
    >>> noise_channel("poisson", gain=0.5)
    Poisson(gain=0.5)
    """
    if isinstance(channel, NoiseModel):
        if parameters:
            msg = f"a {type(channel).__name__} has its parameters already; set {', '.join(parameters)} when making it."
            raise ValueError(msg)
        return channel
    if channel not in NOISE_CHANNELS:
        msg = f"noise channel {channel!r} is not known; use one of {', '.join(NOISE_CHANNELS)}, or a NoiseModel."
        raise ValueError(msg)
    return NOISE_CHANNELS[channel](**parameters)
