"""Objectives of an inverter: inverse consistency of fields, or of their observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from scif.core import GCT, ChannelCoupling, CleanEstimates, FlowMatching, Inverse, LossOutput, Objective, fit
from scif.core.path import Linear
from scif.fields.fluids.chain import InUnits, flow_of, is_observed
from scif.fields.fluids.path import FlowPath
from scif.fields.fluids.symmetry import has_square_symmetry, homogeneous_axes, random_shifts, random_symmetries

__all__ = ["Augmentation", "History", "ObservedConsistency", "make_objective", "train"]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of clean fields that the flow commutes with."""

    turned: bool = False
    """Whether fields are turned and mirrored."""
    shifted: tuple[int, ...] = ()
    """Axes of space along which they are shifted."""

    @classmethod
    def of(cls, channel: InUnits, *, square: bool) -> Augmentation:
        """Those of a spectral flow; other simulators are not known to have any."""
        flow = flow_of(channel.channel)
        if flow is None:
            return cls()
        return cls(square and has_square_symmetry(flow.solver), homogeneous_axes(flow.solver))

    def __call__(self, fields: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Change every field at random."""
        if self.turned:
            fields = random_symmetries(fields, generator=generator)
        return random_shifts(fields, self.shifted, generator=generator) if self.shifted else fields


class _Augmented(Inverse):
    """Changes clean estimates at random before they are simulated anew."""

    def __init__(self, objective: GCT | FlowMatching, augmentation: Augmentation) -> None:
        super().__init__(objective)
        self.augmentation = augmentation

    def clean(self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any) -> Any:
        clean = super().clean(model, x1, generator=generator, **condition)
        return CleanEstimates(self.augmentation(clean.x0, generator=generator), clean.condition)


class ObservedConsistency(Objective):
    """Inverse consistency in one time step, where observations are no fields: ``|c(p(c(x1)), 1) - c(x1)|^2``.

    It is :class:`~scif.core.InverseConsistency` on the grid of times 0 and 1, which needs no path between a field and
    an observation.

    Parameters
    ----------
    noise
        The flow and its observation.
    augmentation
        What clean estimates go through before they are observed anew.
    """

    name = "inverse_consistency"

    def __init__(self, noise: InUnits, augmentation: Augmentation) -> None:
        super().__init__()
        self.noise, self.augmentation = noise, augmentation

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss on observations."""
        with torch.no_grad():
            clean = (model if teacher is None else teacher)(x1, 1.0)
            clean = self.augmentation(clean, generator=generator)
            again = self.noise.sample(clean, generator=generator)
        return LossOutput((model(again, 1.0) - clean).square().mean())


def make_objective(channel: InUnits, *, method: str, path: str, num_steps: int, square: bool) -> Objective:
    """The objective of an inverter whose fields are in the channel's units."""
    augmentation = Augmentation.of(channel, square=square)
    if is_observed(channel.channel):
        return ObservedConsistency(channel, augmentation)
    trajectory = Linear()
    if path == "flow":
        spectral = flow_of(channel.channel)
        assert spectral is not None
        trajectory = FlowPath(spectral.rescaled(channel.state))  # type: ignore[assignment]
    pairs = ChannelCoupling(channel)
    if method == "icm":
        return _Augmented(GCT(pairs, path=trajectory, num_steps=num_steps), augmentation)
    flow = FlowMatching(pairs, path=trajectory, num_steps=num_steps, times="uniform", continuous=False)
    return _Augmented(flow, augmentation)


class History(pl.Callback):
    """The loss of every step."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {"step": [], "loss": []}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take up the loss."""
        self.values["step"].append(trainer.global_step)
        self.values["loss"].append(float(outputs["loss"]))

    def state_dict(self) -> dict[str, Any]:
        """State that a checkpoint keeps."""
        return {name: list(values) for name, values in self.values.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.values.update(state_dict)


def train(
    model: nn.Module, objective: Objective, x1: Tensor, *, seed: int, settings: dict[str, Any]
) -> tuple[nn.Module, dict[str, list[float]]]:
    """The averaged model, and the loss of every step; ``settings`` are arguments of :func:`scif.core.fit`."""
    history = History()
    options = {"warmup_steps": settings["max_steps"] // 20, "seed": seed} | settings
    options["callbacks"] = [*settings.get("callbacks", []), history]
    return fit(model, objective, x1, **options), history.values
