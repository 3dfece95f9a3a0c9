"""The figure of an image report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scif.fields.images._report import ImageReport

__all__ = ["draw"]


def draw(report: ImageReport) -> Figure:
    """Three pictures above, four measurements below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.6), layout="constrained")
    rows: Any = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    upper, lower = rows
    _pictures(report, upper)
    risk, calibration, correlation, rings = lower.subplots(1, 4)
    _risk(report, risk)
    order = np.argsort(report.means)
    calibration.plot(report.means, report.variances, ".", color="0.5", markersize=3, label="measured")
    calibration.plot(report.means[order], report.assumed[order], color="C1", label="assumed")
    top = 1.3 * max(report.assumed.max(), np.quantile(report.variances, 0.95))
    calibration.set(xlabel="brightness", ylabel="variance of the noise", title="calibration", ylim=(0, top))
    calibration.legend(frameon=False, fontsize="small")
    reach = report.autocorrelation.shape[0] // 2
    drawn = correlation.imshow(
        report.autocorrelation, cmap="RdBu_r", vmin=-0.3, vmax=0.3, extent=[-reach - 0.5, reach + 0.5] * 2
    )
    correlation.set(xlabel="lag (pixels)", title="removed: autocorrelation")
    lower.colorbar(drawn, ax=correlation, shrink=0.7)
    for curve, label in ((report.rings_before, "noisy"), (report.rings_after, "denoised")):
        rings.plot(curve.frequency, curve.correlation, label=f"{label}: {curve.resolution():.1f} pixels")
    rings.axhline(1 / 7, color="0.5", linestyle="--", linewidth=1)
    rings.set(xlabel="cycles per pixel", ylim=(-0.15, 1.45), title=f"ring correlation\n(halves by {report.halves})")
    rings.legend(frameon=False, fontsize="small")
    for ax in (risk, calibration, rings):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _pictures(report: ImageReport, figure: Any) -> None:
    low, high = np.quantile(report.before, [0.005, 0.995])
    removed = report.before - report.after
    reach = 3 * float(removed.std()) or 1.0
    axes = figure.subplots(1, 3)
    for ax, image, title in zip(axes[:2], (report.before, report.after), ("before", "after"), strict=True):
        drawn = ax.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        ax.set_title(title)
    figure.colorbar(drawn, ax=axes[:2], shrink=0.8, label="pixel value")
    drawn = axes[2].imshow(removed, cmap="gray", vmin=-reach, vmax=reach, interpolation="nearest")
    axes[2].set_title("removed")
    figure.colorbar(drawn, ax=axes[2], shrink=0.8)
    for ax in axes:
        ax.set(xticks=[], yticks=[])


def _risk(report: ImageReport, ax: Any) -> None:
    names = list(report.risk)
    values = [report.risk[name] for name in names]
    bars = ax.barh(names, values, color=["C1" if name == "scif" else "0.7" for name in names])
    ax.bar_label(bars, fmt="%.3g", padding=2, fontsize="small")
    ax.invert_yaxis()
    ax.set(xlabel="mean squared error", title="estimated risk", xlim=(min(*values, 0), 1.3 * max(values)))
