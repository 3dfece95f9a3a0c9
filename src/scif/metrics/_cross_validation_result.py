"""Scores of molecular cross-validation, per method and split."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CrossValidation"]


@dataclass(frozen=True)
class CrossValidation:
    """Held-out losses of denoisers; see :func:`scif.metrics.molecular_cross_validation`.

    Attributes
    ----------
    methods
        Names of the methods in the given order, then the baselines.
    scores
        Poisson negative log-likelihood of held-out molecules, ``(methods, splits)``; lower is better. NaN where a
        method has no score; ``problems`` says why.
    seconds
        Wall time of each call, ``(methods, splits)``.
    problems
        Reason why a method lacks a score in some split; empty if it has all.
    own
        True for methods that you passed, False for added baselines.
    """

    methods: tuple[str, ...]
    scores: np.ndarray
    seconds: np.ndarray
    problems: tuple[str, ...]
    own: tuple[bool, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per method.

        ``poisson_nll`` is the mean loss over splits, and ``spread`` its standard deviation. ``gain`` is the mean
        reduction of the loss relative to the pooled profile in the same splits, and ``gain_spread`` its standard
        deviation. Splits differ in difficulty, so differences are more precise than losses. ``splits`` is the number of
        splits with a score, ``seconds`` the mean wall time, and ``problem`` the reason for a missing score. The gain is
        missing if there is no pooled profile.
        """
        import pandas as pd

        gain = np.full_like(self.scores, np.nan)
        if "pooled profile" in self.methods:
            gain = self.scores[self.methods.index("pooled profile")] - self.scores
        columns: dict[str, Any] = {
            "poisson_nll": _mean(self.scores),
            "spread": _spread(self.scores),
            "gain": _mean(gain),
            "gain_spread": _spread(gain),
            "splits": np.isfinite(self.scores).sum(axis=1),
            "seconds": _mean(self.seconds),
            "problem": self.problems,
        }
        return pd.DataFrame(columns, index=pd.Index(self.methods, name="method"))

    def best(self) -> str:
        """Name of the method with the lowest mean loss.

        Raises
        ------
        ValueError
            If no method has a score.
        """
        mean = _mean(self.scores)
        if not np.isfinite(mean).any():
            msg = f"no method has a score: {'; '.join(filter(None, self.problems))}"
            raise ValueError(msg)
        return self.methods[int(np.nanargmin(mean))]

    def __repr__(self) -> str:
        table = self.to_frame().drop(columns="problem")
        lines = [f"Molecular cross-validation, {self.scores.shape[1]} splits; Poisson NLL of held-out molecules"]
        lines.append(table.to_string(float_format=lambda x: f"{x:.4g}", na_rep="-"))
        lines += [f"{name}: {problem}" for name, problem in zip(self.methods, self.problems, strict=True) if problem]
        return "\n".join(lines)


def _mean(values: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row without scores has no mean
        return np.nanmean(values, axis=1)


def _spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation between splits; missing where there are fewer than two."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanstd(values, axis=1, ddof=1)
