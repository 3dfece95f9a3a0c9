"""Noise channels by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, TypeVar

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

__all__ = ["ENTRY_POINTS", "NOISE_CHANNELS", "channel_name", "find_channel", "noise_channel", "register_channel"]

ENTRY_POINTS = "scif.noise_channels"
"""Group of entry points in which an installed package offers channels: a name, and the class it stands for."""

_CHANNELS: dict[str, type[NoiseModel]] = {
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

NOISE_CHANNELS: Mapping[str, type[NoiseModel]] = MappingProxyType(_CHANNELS)
"""All registered channels by name. :func:`register_channel` adds to it."""

_RESERVED = ("auto", "compose")
"""Names with a meaning of their own."""

_Channel = TypeVar("_Channel", bound=type[NoiseModel])


def register_channel(name: str, channel: _Channel | None = None) -> Any:
    """Register your own channel under a name for :func:`noise_channel`, ``ImageDenoiser(noise=...)`` and model files.

    An installed package can use an entry point in the group ``scif.noise_channels`` instead.

    Parameters
    ----------
    name
        The name, in lower case.
    channel
        The class. Omit it to use the function as a decorator.

    Returns
    -------
    The class, or a decorator.

    Raises
    ------
    TypeError
        If ``channel`` is not a subclass of :class:`NoiseModel`.
    ValueError
        If another class has the same name.

    Examples
    --------
    >>> from scif.core.noise import Gaussian, noise_channel, register_channel
    >>> @register_channel("standard_normal")
    ... class StandardNormal(Gaussian):
    ...     def __init__(self):
    ...         super().__init__(1.0)
    >>> type(noise_channel("standard_normal")).__name__
    'StandardNormal'
    """
    if channel is None:

        def decorate(channel: _Channel) -> _Channel:
            register_channel(name, channel)
            return channel

        return decorate
    if not (isinstance(channel, type) and issubclass(channel, NoiseModel)):
        msg = f"channel is {channel!r}; register the class itself, a subclass of NoiseModel."
        raise TypeError(msg)
    if not name.isidentifier() or name != name.lower() or name in _RESERVED:
        msg = f"name is {name!r}; use lower-case letters, digits and underscores, but none of {_RESERVED}."
        raise ValueError(msg)
    other = _CHANNELS.get(name, channel)
    if _path(other) != _path(channel):  # a module that is loaded anew brings its class again
        msg = f"the name {name!r} belongs to {_path(other)}; choose another one."
        raise ValueError(msg)
    _CHANNELS[name] = channel
    return channel


def find_channel(name: str) -> type[NoiseModel] | None:
    """The class of a name: registered, or offered by an installed package as an entry point; ``None`` if neither."""
    if name not in _CHANNELS:
        for entry in entry_points(group=ENTRY_POINTS, name=name):
            register_channel(name, entry.load())
    return _CHANNELS.get(name)


def channel_name(channel: type[NoiseModel]) -> str | None:
    """The name that a class is registered by, if any."""
    return next((name for name, other in _CHANNELS.items() if other is channel), None)


def noise_channel(channel: str | NoiseModel, **parameters: Any) -> NoiseModel:
    """Return the channel with the given name, or the given channel.

    Parameters
    ----------
    channel
        A name in ``NOISE_CHANNELS``, or a channel, which is returned unchanged.
    **parameters
        Arguments of the named channel.

    Raises
    ------
    ValueError
        If the name is unknown, or if parameters are passed together with a channel.

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
    kind = find_channel(channel)
    if kind is None:
        msg = (
            f"noise channel {channel!r} is not known; use one of {', '.join(NOISE_CHANNELS)}, a NoiseModel, or "
            "register_channel(name, class) first."
        )
        raise ValueError(msg)
    make: Callable[..., NoiseModel] = kind
    return make(**parameters)


def _path(channel: type[NoiseModel]) -> str:
    return f"{channel.__module__}.{channel.__qualname__}"
