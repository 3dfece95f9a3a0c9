"""Choices of a user for one fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scif.core._check import is_number

__all__ = ["Consistency", "FitOptions"]

Consistency = Literal["em", "gradient", "both", "none"]


@dataclass(frozen=True)
class FitOptions:
    """Choices for one fit; :func:`~scif.counts.fit_counts` says what they mean.

    Raises
    ------
    ValueError
        If one makes no sense, or two of them together; names it.
    """

    max_epochs: int | None = None
    early_stopping: bool = True
    batch_size: int | None = None
    accelerator: str = "auto"
    devices: Any = "auto"
    anchor_weight: float = 1.0
    consistency: Consistency | None = None
    consistency_weight: float = 1.0
    num_steps: int | None = None
    held_out: float = 0.05
    progress: bool = False

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size", "num_steps"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and math.isfinite(value) and value >= 1 and value % 1 == 0):
                msg = f"{name} is {value!r}; it must be a whole number of at least 1."
                raise ValueError(msg)
        for name in ("early_stopping", "progress"):
            choice = getattr(self, name)
            if not isinstance(choice, bool | np.bool_):
                msg = f"{name} is {choice!r}; it must be True or False."
                raise ValueError(msg)
        for name in ("anchor_weight", "consistency_weight"):
            weight = getattr(self, name)
            if not (is_number(weight) and math.isfinite(weight) and weight >= 0):
                msg = f"{name} is {weight!r}; it must be finite and not negative."
                raise ValueError(msg)
        if self.consistency not in (None, "em", "gradient", "both", "none"):
            msg = f"consistency is {self.consistency!r}; choose 'em', 'gradient', 'both' or 'none'."
            raise ValueError(msg)
        if not (is_number(self.held_out) and 0 < self.held_out < 1):
            msg = f"held_out is {self.held_out!r}; it must lie between 0 and 1."
            raise ValueError(msg)
        if self.anchor_weight == 0 and self.consistency_weight == 0:
            msg = "anchor_weight and consistency_weight are both 0; at least one must be positive."
            raise ValueError(msg)
        if self.anchor_weight == 0 and self.consistency == "none":
            msg = "anchor_weight is 0 and consistency is 'none'; nothing would be trained. Give at least one."
            raise ValueError(msg)
        if self.anchor_weight == 0 and self.consistency in ("em", "both"):
            msg = f"consistency is {self.consistency!r}, which needs the anchor; use 'gradient' with anchor_weight=0."
            raise ValueError(msg)
        if self.num_steps is not None and not self.by_gradient:
            msg = (
                f"num_steps is {self.num_steps}, which only consistency='gradient' or 'both' uses; choose one of them."
            )
            raise ValueError(msg)

    @property
    def mode(self) -> Consistency:
        """How consistency is imposed: by EM unless said otherwise, by gradients without an anchor."""
        if self.consistency is not None:
            return self.consistency if self.consistency_weight > 0 else "none"
        if self.anchor_weight == 0:
            return "gradient"
        return "em" if self.consistency_weight > 0 else "none"

    @property
    def by_gradient(self) -> bool:
        """Whether the published objective is a term of the training loss."""
        return self.mode in ("gradient", "both")

    @property
    def prior_share(self) -> float:
        """Weight of the composition under the EM prior in the estimate."""
        if self.mode not in ("em", "both"):
            return 0.0
        return self.consistency_weight / (self.consistency_weight + self.anchor_weight)
