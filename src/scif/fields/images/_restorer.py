"""A trained network together with its channel and its units: pixels in, pixels out."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scif.core import transport
from scif.fields.images._channel import Found, full_scale
from scif.fields.images._frames import parted
from scif.fields.images._uncertainty import ErrorMap, calibrate_map
from scif.fields.images._units import InUnits

__all__ = ["Restorer"]


class Restorer(nn.Module):
    """Network, noise channel and normalisation of images of one kind; everything that is saved.

    Parameters
    ----------
    model
        Called ``model(x, t)`` on ``(batch, channels, *spatial)`` in the units of the network.
    found
        The channel in the units of the images.
    mean, spread
        What becomes zero and one in the units of the network, on the scale of the channel; ``(channels, 1, ...)``.
    """

    pedestal: Tensor

    def __init__(self, model: nn.Module, found: Found, *, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.model = model
        self.noise = InUnits(found.noise, offset=mean, scale=spread)
        self.errors = ErrorMap(self.noise.scale.numel())
        self.register_buffer("pedestal", torch.as_tensor(found.pedestal, dtype=torch.float32).clone())

    @property
    def multiple(self) -> tuple[int, ...]:
        """Period of the network's grid along each spatial axis: its attribute ``multiple``, or 1."""
        ndim = self.noise.scale.ndim - 1
        period = getattr(getattr(self.model, "net", None), "multiple", 1)
        return (period,) * ndim if isinstance(period, int) else tuple(period)

    def observe(self, pixels: NDArray[Any]) -> Tensor:
        """Pixels ``(batch, channels, *spatial)`` in the units of the network, on the CPU.

        Raises
        ------
        ValueError
            If a pixel is not finite, or outside what the channel can produce.
        """
        channel = self.noise.noise
        x = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
        x = (x - self.pedestal.cpu()) / full_scale(channel, pixels.dtype)
        try:
            channel.support_x1.check(x, name="images")
        except ValueError as error:
            kind = type(channel).__name__
            msg = f"{error} Fix or crop these pixels, subtract the camera's offset, or pass other noise than {kind}."
            raise ValueError(msg) from None
        return (x - self.noise.offset.cpu()) / self.noise.scale.cpu()

    def batch(self, pixels: NDArray[Any]) -> dict[str, Tensor]:
        """Images ``x1`` and, if there are any, the frames ``around`` them, as :meth:`observe` gives them.

        Parameters
        ----------
        pixels
            ``(batch, frames * channels, *spatial)``, the image first.
        """
        channels = self.noise.scale.shape[0]
        frames = pixels.reshape(-1, channels, *pixels.shape[2:])
        return parted(self.observe(frames).reshape(pixels.shape), channels)

    @torch.inference_mode()
    def restore(
        self, pixels: NDArray[Any], *, flow_steps: int | None = None, augment: bool = False, std: bool = False
    ) -> NDArray[np.float32]:
        """Clean pixels.

        Parameters
        ----------
        pixels
            ``(batch, frames * channels, *spatial)``, the image first, then the frames around it if the model sees any.
        flow_steps
            Steps along the flow of the model's mean; one call of the model if not given.
        augment
            Whether to take the mean over the mirror images in the plane, as far as the noise has these symmetries.
        std
            Whether the standard deviations follow as further channels.
        """
        batch: dict[str, Any] = {name: one.to(self.noise.scale.device) for name, one in self.batch(pixels).items()}
        x1 = batch.pop("x1")
        if flow_steps is not None:
            x0 = transport(self.model, x1, num_steps=flow_steps, prediction="x0", **batch).value
        else:
            x0 = self.mirrored(x1, **batch) if augment else self.once(x1, **batch)
        full = full_scale(self.noise.noise, pixels.dtype)
        result = self.noise.clean(x0) * full + self.pedestal
        if std:
            model = partial(self.once, **batch)
            spread = self.errors.std(model, self.noise, x1, self.noise.to_network(self.noise.clean(x0)))
            result = torch.cat([result, spread * self.noise.scale * full], dim=1)
        values: NDArray[np.float32] = result.float().cpu().numpy()
        return values

    def once(self, x1: Tensor, **condition: Tensor) -> Tensor:
        """One call of the model, in the units of the network."""
        x0: Tensor = self.model(x1, 1.0, **condition)
        return x0

    def mirrored(self, x1: Tensor, **condition: Tensor) -> Tensor:
        """Mean over the mirror images in the plane, as far as the noise has these symmetries."""
        axes = [axis - x1.ndim + 2 for axis in self.noise.mirror_axes(x1.ndim - 2) if axis >= x1.ndim - 4]
        flipped = [flips for n in range(len(axes) + 1) for flips in combinations(axes, n)]
        x0 = torch.zeros_like(x1)
        for flips in flipped:
            others = {name: one.flip(flips) for name, one in condition.items()}
            x0 += self.once(x1.flip(flips), **others).flip(flips) / len(flipped)
        return x0

    def calibrate_errors(self, x1: Tensor, **condition: Tensor) -> None:
        """Learn how far estimates are from the truth, from observations in the units of the network."""
        device = self.noise.scale.device
        condition = {name: one.to(device) for name, one in condition.items()}
        calibrate_map(self.errors, self.once, self.mirrored, self.noise, x1.to(device), **condition)
