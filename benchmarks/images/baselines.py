"""The same network trained in other ways: with clean images, and as Noise2Void."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scif.core import ConsistencyFunction, LossOutput, Objective
from scif.core.noise import NoiseModel
from scif.fields.images import ImageDenoiser
from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._channel import find_noise
from scif.fields.images._fitting import statistics
from scif.fields.images._patches import Patches
from scif.fields.images._restorer import Restorer
from scif.fields.images._train import train
from scif.fields.images._training import Training

__all__ = ["Noise2Void", "Paired", "Supervised"]


class SupervisedError(Objective):
    """Squared error on clean images under fresh noise; not possible without clean images."""

    name = "supervised"

    def __init__(self, noise: NoiseModel) -> None:
        super().__init__()
        self.noise = noise

    def forward(self, model: nn.Module, x1: Tensor, *, generator: torch.Generator, **_: Any) -> LossOutput:
        observed = self.noise.sample(x1, generator=generator)
        return LossOutput((model(observed, 1.0) - x1).square().mean())


class PairedError(Objective):
    """Squared error on pairs, noisy and clean, given as two channels."""

    name = "supervised"

    def forward(self, model: nn.Module, x1: Tensor, **_: Any) -> LossOutput:
        observed, clean = x1.chunk(2, dim=1)
        return LossOutput((model(observed, 1.0) - clean).square().mean())


class BlindSpot(Objective):
    """Noise2Void (Krull, Buchholz & Jug, CVPR 2019): predict pixels that were replaced by one of their neighbours."""

    name = "noise2void"

    def __init__(self, *, share: float = 0.015, reach: int = 2) -> None:
        super().__init__()
        self.share, self.reach = share, reach

    def forward(self, model: nn.Module, x1: Tensor, *, generator: torch.Generator, **_: Any) -> LossOutput:
        blind = torch.rand(x1.shape, generator=generator, device=x1.device) < self.share
        side = 2 * self.reach + 1
        which = torch.randint(side * side - 1, x1.shape, generator=generator, device=x1.device)
        which = which + (which >= side * side // 2)  # any neighbour but the pixel itself
        rows, columns = which // side - self.reach, which % side - self.reach
        h, w = x1.shape[-2:]
        y = (torch.arange(h, device=x1.device)[:, None] + rows).abs()
        x = (torch.arange(w, device=x1.device) + columns).abs()
        y, x = (torch.minimum(k, 2 * (n - 1) - k) for k, n in ((y, h), (x, w)))
        neighbour = x1.flatten(2).gather(2, (y * w + x).flatten(2)).view_as(x1)
        out = model(torch.where(blind, neighbour, x1), 1.0)
        return LossOutput((out - x1)[blind].square().mean())


class Supervised(ImageDenoiser):
    """Fitted on clean images."""

    def make_objective(self, noise: NoiseModel, x1: Tensor) -> Objective:
        return SupervisedError(noise)


class Noise2Void(ImageDenoiser):
    """Fitted on noisy images, for noise that is independent from pixel to pixel."""

    share = 0.015
    """Share of the pixels that are masked."""

    def make_objective(self, noise: NoiseModel, x1: Tensor) -> Objective:
        return BlindSpot(share=self.share)


class Paired(ImageDenoiser):
    """Fitted on real pairs, noisy and clean."""

    def fit_pairs(
        self,
        noisy: Sequence[NDArray],
        clean: Sequence[NDArray],
        **options: Any,
    ) -> Paired:
        names = ("max_steps", "batch_size", "patch", "lr", "ema_decay")
        training = Training.checked(2, progress=False, **{k: options.pop(k) for k in names}, trainer=options)
        max_steps = training.max_steps or 1000
        stacks = [ImageStack(image, Axes("YX")) for image in noisy]
        found = find_noise(self.noise, stacks)
        mean, spread = statistics(stacks, found)
        restorer = Restorer(nn.Identity(), found, mean=mean, spread=spread)
        pairs = [ImageStack(np.stack(pair), Axes("CYX")) for pair in zip(noisy, clean, strict=True)]
        crops = Patches(
            pairs,
            batch_size=training.batch_size,
            patch=training.patch,
            steps=max(max_steps // 20, 1),
            prepare=restorer.observe,
            flips=(0, 1),
            seed=self.settings.seed,
        )
        x1 = torch.cat([crops.peek(k) for k in range(4)])[:, :1]
        network = self.settings.network(1)
        model = ConsistencyFunction.calibrated(network, x1, restorer.noise, per_feature=True, skip="mean")
        engine, history = train(model, PairedError(), crops, training, max_steps=max_steps, seed=self.settings.seed)
        restorer.model = engine.averaged
        restorer.to(engine.device)
        self.restorers_, self.history_ = [restorer.eval()], [history]
        return self
