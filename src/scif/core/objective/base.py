"""Training objectives: what a network is asked to minimise, and how objectives add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["LossOutput", "Objective", "SumObjective"]


@dataclass(frozen=True)
class LossOutput:
    """Value of an objective on a batch."""

    loss: Tensor
    """The scalar to minimise."""
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    """Detached scalars for logging, by name."""


class Objective(nn.Module):
    """A loss to minimise over batches of observations.

    Objectives can be added and scaled: ``Anchor(noise) * 1.0 + InverseConsistency(noise, ...) * 0.5`` is an objective.
    """

    name: str = "objective"

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss of ``model`` on one batch.

        Parameters
        ----------
        model
            Consistency function or velocity, called as ``model(x, t, **condition)``.
        x1
            Batch of observations, ``(batch, ...)``.
        teacher
            Slowly moving copy of ``model`` that supplies targets; default ``model`` itself, without gradient.
        generator
            Random generator.
        **condition
            Passed to the network, such as batch labels.
        """
        raise NotImplementedError

    def set_step(self, step: int) -> None:
        """Set the number of optimiser steps so far, which objectives with a growing grid need."""

    def __add__(self, other: Objective) -> SumObjective:
        return SumObjective(_merge(self, other))

    def __mul__(self, weight: float) -> SumObjective:
        return SumObjective({name: (part, w * weight) for name, (part, w) in _parts(self).items()})

    __rmul__ = __mul__


class SumObjective(Objective):
    """A weighted sum of objectives; terms with weight zero are not evaluated.

    Parameters
    ----------
    parts
        Objectives and their weights, by name.
    """

    name = "sum"

    def __init__(self, parts: Mapping[str, tuple[Objective, float]]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: part for name, (part, _) in parts.items()})
        self.weights = {name: float(weight) for name, (_, weight) in parts.items()}

    def set_step(self, step: int) -> None:
        """Pass the number of optimiser steps to every part."""
        for part in self.parts.values():
            part.set_step(step)  # type: ignore[operator]

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Weighted sum of the parts; ``terms`` holds the unweighted loss of each part by name."""
        total: Tensor | None = None
        terms: dict[str, Tensor] = {}
        for name, part in self.parts.items():
            weight = self.weights[name]
            if weight == 0.0:
                continue
            out = part(model, x1, teacher=teacher, generator=generator, **condition)
            terms[name] = out.loss.detach()
            terms.update({f"{name}_{key}": value for key, value in out.terms.items()})
            total = weight * out.loss if total is None else total + weight * out.loss
        if total is None:
            msg = "every weight of this sum of objectives is zero; give at least one a positive weight."
            raise ValueError(msg)
        return LossOutput(total, terms)


def _parts(objective: Objective) -> dict[str, tuple[Objective, float]]:
    if isinstance(objective, SumObjective):
        return {name: (part, objective.weights[name]) for name, part in objective.parts.items()}  # type: ignore[misc]
    return {objective.name: (objective, 1.0)}


def _merge(first: Objective, second: Objective) -> dict[str, tuple[Objective, float]]:
    """The parts of both; a name that both use is numbered."""
    merged = dict(_parts(first))
    for name, part in _parts(second).items():
        key, count = name, 2
        while key in merged:
            key, count = f"{name}_{count}", count + 1
        merged[key] = part
    return merged
