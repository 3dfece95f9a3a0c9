"""Settings of a denoiser: checked once, kept with the trained networks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
from torch import nn

from scif.core import ConsistencyFunction
from scif.core._check import check_fraction, check_whole
from scif.fields.images._contrast import NoiseContrast
from scif.fields.images._frames import Movie
from scif.nn.unet import UNet

__all__ = ["Estimator", "Settings", "choose", "per_axis"]

Estimator = Literal["mean", "transport"]


_LARGEST = 100_000
"""No network has as many layers or channels; a file that says so is damaged or hostile."""


@dataclass(frozen=True)
class Settings:
    """Settings of :class:`~scif.fields.images.ImageDenoiser`, where each is explained."""

    ndim: int
    channels: str
    method: str
    anchor_weight: float
    consistency_weight: float
    num_steps: int
    fraction: float
    widths: tuple[int, ...]
    blocks: int
    factor: tuple[int, ...]
    seed: int
    neighbour_frames: int = 0
    own_network: Callable[[int], nn.Module] | nn.Module | None = field(default=None, compare=False)
    """Makes another network of the number of channels, or is one."""

    def __post_init__(self) -> None:
        choose("channels", self.channels, ("together", "apart"))
        choose("method", self.method, ("icm", "ifm"))
        for name in ("num_steps", "blocks"):
            check_whole(getattr(self, name), name=name)
        for name in ("widths", "factor"):
            for value in getattr(self, name):
                check_whole(value, name=name)
        for name in ("seed", "neighbour_frames"):
            check_whole(getattr(self, name), name=name, least=0)
        check_fraction(self.fraction, name="fraction")
        weights = (self.anchor_weight, self.consistency_weight)
        if not all(math.isfinite(weight) for weight in weights):
            msg = f"anchor_weight is {weights[0]} and consistency_weight {weights[1]}; give finite numbers."
            raise ValueError(msg)
        if min(weights) < 0 or sum(weights) == 0:
            msg = (
                f"anchor_weight is {weights[0]} and consistency_weight {weights[1]}; neither may be negative, and "
                "one must be positive."
            )
            raise ValueError(msg)
        if self.own_network is None:
            with torch.device("meta"):  # refuses wrong sizes, without drawing weights
                self.network(1)
        elif not callable(self.own_network):
            msg = f"network is {self.own_network!r}; pass a module, or a function of the number of channels."
            raise TypeError(msg)

    @property
    def estimator(self) -> Estimator:
        """Result of one call of the network: the posterior mean where it is trained for, else the transport."""
        return "mean" if self.anchor_weight > 0 or self.method == "ifm" else "transport"

    def by_flow(self, estimator: str | None) -> bool:
        """Whether an estimator takes an ODE instead of one call.

        Raises
        ------
        ValueError
            If the networks were not trained for it.
        """
        if estimator is None or estimator == self.estimator:
            return False
        choose("estimator", estimator, ("mean", "transport"))
        if self.method == "ifm":
            return True
        msg = (
            f"estimator is {estimator!r}, but method='icm' with anchor_weight={self.anchor_weight:g} is trained for "
            f"the {self.estimator}; method='ifm' gives both."
        )
        raise ValueError(msg)

    def network(self, channels: int, *, contrast: bool = False) -> nn.Module:
        """A new network, for an image (and the frames around it) alone or with contrasts (:class:`NoiseContrast`).

        Raises
        ------
        TypeError
            If an own function returns something else than a module.
        """
        if self.own_network is None:
            seen = channels * (1 + 2 * self.neighbour_frames) * (NoiseContrast.inputs if contrast else 1)
            return UNet(seen, channels, ndim=self.ndim, widths=self.widths, blocks=self.blocks, factor=self.factor)
        if isinstance(self.own_network, nn.Module):
            return copy.deepcopy(self.own_network)
        network = self.own_network(channels)
        if not isinstance(network, nn.Module):
            msg = f"network({channels}) gives a {type(network).__name__}; return a module that is called net(x, t)."
            raise TypeError(msg)
        return network

    def to_data(self) -> dict[str, Any]:
        """All settings as JSON data, neighbouring frames if there are any; of an own network its name alone."""
        data = {one.name: getattr(self, one.name) for one in fields(self)}
        if not self.neighbour_frames:
            del data["neighbour_frames"]
        own = self.own_network
        if own is not None:
            named = type(own) if isinstance(own, nn.Module) else own
            data["own_network"] = getattr(named, "__qualname__", type(own).__name__)
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any], *, network: Callable[[int], nn.Module] | nn.Module | None) -> Settings:
        """Restore the settings that :meth:`to_data` gave, with the own network, if there was one."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        blocks, widths = given["blocks"], given["widths"]
        if network is None and max(len(widths) * blocks, *widths) > _LARGEST:
            msg = f"widths are {str(widths)[:80]} and blocks {blocks}, larger than any network"
            raise ValueError(msg)
        return cls(**given | {"own_network": network})

    def model(self, channels: int, *, contrast: bool = False) -> ConsistencyFunction:
        """A new model, whose scales are still to be set."""
        ones = torch.ones(channels, *[1] * self.ndim)
        network = self.network(channels, contrast=contrast)
        model = ConsistencyFunction(network, data_mean=0 * ones, data_scale=ones, noise_scale=ones, skip=self.estimator)
        return self.dressed(model, network, contrast=contrast)

    def dressed(self, model: ConsistencyFunction, network: nn.Module, *, contrast: bool) -> ConsistencyFunction:
        """The same model with a network that sees the frames around an image and contrasts, as far as it is to."""
        frames = 2 * self.neighbour_frames
        if contrast:
            model.net = NoiseContrast(network, copy.deepcopy(model.scaling), frames=frames)
        elif frames:
            model.net = Movie(network, copy.deepcopy(model.scaling), frames=frames)
        return model


def per_axis(value: int | Sequence[int], ndim: int, *, name: str) -> tuple[int, ...]:
    """One value for each spatial axis."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    values: tuple[Any, ...] = tuple(value) if several else (value,) * ndim  # type: ignore[arg-type]
    if len(values) != ndim:
        msg = f"{name} is {value}; give one number, or one for each of the {ndim} spatial axes."
        raise ValueError(msg)
    return values


def choose(name: str, value: object, options: tuple[object, ...]) -> None:
    """Raise ``ValueError`` unless an argument is one of its options."""
    if value not in options:
        msg = f"{name} is {value!r}; choose one of {', '.join(map(repr, options))}."
        raise ValueError(msg)
