"""What a denoiser is made of: checked once, kept with the trained networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from scif.core import ConsistencyFunction
from scif.nn.unet import UNet

__all__ = ["Estimator", "Settings", "choose", "per_axis"]

Estimator = Literal["mean", "transport"]


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

    def __post_init__(self) -> None:
        choose("channels", self.channels, ("together", "apart"))
        choose("method", self.method, ("icm", "ifm"))
        weights = (self.anchor_weight, self.consistency_weight)
        if min(weights) < 0 or sum(weights) == 0:
            msg = f"anchor_weight is {weights[0]} and consistency_weight {weights[1]}; none negative, one positive."
            raise ValueError(msg)
        with torch.device("meta"):  # refuses wrong sizes, without drawing weights
            self.network(1)

    @property
    def estimator(self) -> Estimator:
        """What one call of the network gives: the posterior mean where it is trained for, else the transport."""
        return "mean" if self.anchor_weight > 0 or self.method == "ifm" else "transport"

    @property
    def multiple(self) -> tuple[int, ...]:
        """Period of the network's grid along each spatial axis."""
        return tuple(f ** (len(self.widths) - 1) for f in self.factor)

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

    def network(self, channels: int) -> UNet:
        """A new network."""
        return UNet(channels, ndim=self.ndim, widths=self.widths, blocks=self.blocks, factor=self.factor)

    def model(self, channels: int) -> ConsistencyFunction:
        """A new model, whose scales are still to be set."""
        ones = torch.ones(channels, *[1] * self.ndim)
        return ConsistencyFunction(
            self.network(channels), data_mean=0 * ones, data_scale=ones, noise_scale=ones, skip=self.estimator
        )


def per_axis(value: int | Sequence[int], ndim: int, *, name: str) -> tuple[int, ...]:
    """One value for each spatial axis."""
    values = (value,) * ndim if isinstance(value, int) else tuple(value)
    if len(values) != ndim:
        msg = f"{name} is {value}; give one number, or one for each of the {ndim} spatial axes."
        raise ValueError(msg)
    return values


def choose(name: str, value: object, options: tuple[object, ...]) -> None:
    """Raise ``ValueError`` unless an argument is one of its options."""
    if value not in options:
        msg = f"{name} is {value!r}; choose one of {', '.join(map(repr, options))}."
        raise ValueError(msg)
