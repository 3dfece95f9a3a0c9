"""A report in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scif.report._count_report import CountReport

__all__ = ["Finding", "findings"]

#: Distance of a share from its level that is still called calibrated.
_CALIBRATED = 0.05
#: Mean absolute correlation of shuffled genes, relative to observed ones, that is still called uncorrelated.
_INVENTED = 1.5
#: Share of the observed variance within clusters below which cells of a cluster are called equal.
_FLAT = 0.01


@dataclass(frozen=True)
class Finding:
    """A finding in a sentence.

    Attributes
    ----------
    topic
        What it is about, in a word or two.
    good
        Whether it is as it should be.
    text
        The sentence.
    """

    topic: str
    good: bool
    text: str


def findings(report: CountReport) -> list[Finding]:
    """All findings of a report, in the order of its page."""
    found = [_held_out(report), Finding("noise", report.noise.poisson_is_enough, report.noise.message)]
    found += [_coverage(report), _correlation(report), _variance(report), _collapse(report)]
    return [finding for finding in found if finding is not None]


def _held_out(report: CountReport) -> Finding | None:
    result = report.held_out
    if result is None:
        return None
    loss = result.to_frame()["poisson_nll"]
    own = [name for name, mine in zip(result.methods, result.own, strict=True) if mine and np.isfinite(loss[name])]
    others = loss[[name for name in result.methods if name not in own]].dropna()
    if not own or others.empty:
        problem = next(filter(None, result.problems), "no baseline was run")
        return Finding("held-out molecules", False, f"Held-out molecules could not be compared: {problem}.")
    best, rival = loss[own].idxmin(), others.idxmin()
    better = bool(loss[best] < loss[rival])
    text = (
        f"{best} predicts held-out molecules {'better' if better else 'no better'} than {rival}, the best baseline: "
        f"a loss of {loss[best]:.4g} against {loss[rival]:.4g}."
    )
    return Finding("held-out molecules", better, text)


def _coverage(report: CountReport) -> Finding | None:
    if report.coverage is None:
        return None
    worst = report.coverage.worst()
    last = int(np.nanargmax(report.coverage.levels))
    level, share = report.coverage.levels[last], report.coverage.overall[last]
    text = (
        f"{level:.0%} intervals hold {share:.1%} of the values; the worst quarter is off by {100 * worst:.1f} points."
    )
    return Finding("coverage", bool(worst <= _CALIBRATED), text)


def _correlation(report: CountReport) -> Finding:
    panel = report.smoothing
    before, after = panel.correlation_observed.mean(), panel.correlation_denoised.mean()
    text = f"The mean absolute correlation of genes changes from {before:.2f} to {after:.2f}"
    if panel.correlation_null is None:
        return Finding(
            "correlation", True, f"{text}; shuffled genes, which would reveal invented correlations, were not denoised."
        )
    null = panel.correlation_null.mean()
    good = bool(null <= _INVENTED * before)
    verdict = "no correlation is invented" if good else "correlations are invented, so do not infer networks"
    return Finding("correlation", good, f"{text}; that of shuffled genes is {null:.2f}: {verdict}.")


def _variance(report: CountReport) -> Finding | None:
    ratio = report.smoothing.variance_within
    if ratio is None:
        return None
    median = float(np.median(ratio))
    text = f"Within clusters, the median gene keeps {median:.1%} of its observed variance, which includes noise."
    return Finding("variance within clusters", median > _FLAT, text)


def _collapse(report: CountReport) -> Finding | None:
    if report.collapse is None:
        return None
    return Finding("collapse", "collapsing" not in report.collapse.lower(), report.collapse)
