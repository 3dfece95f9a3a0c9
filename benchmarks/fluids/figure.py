"""Fields, errors and spectra of every case, as in the publication's figure."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from scif.fields.fluids import relative_l2, spectra

__all__ = ["draw"]

_COLOURS = ("#999999", "#228833", "#ccbb44", "#4477aa", "#cc3311", "#aa3377")


def draw(fields: Mapping[str, Mapping[str, Tensor]], columns: list[str]) -> Figure:
    """One block of two rows a case: fields above, differences from the truth below, spectra under the truth.

    Parameters
    ----------
    fields
        By case, then by method, estimates ``(n, height, width)``; under ``"truth"`` the initial fields and under
        ``"observed"`` the final ones.
    columns
        Methods to show.
    """
    shown = ["observed", "truth", *columns]
    figure = Figure(figsize=(1.75 * len(shown), 3.7 * len(fields)), layout="constrained")
    for block, (case, found) in zip(
        figure.subfigures(len(fields), 1, squeeze=False)[:, 0], fields.items(), strict=True
    ):
        block.suptitle(case, fontsize=10, x=0.01, ha="left")
        axes = block.subplots(2, len(shown), squeeze=False)
        truth = found["truth"]
        limit = float(truth[0].abs().quantile(0.995))
        for (above, below), name in zip(axes.T, shown, strict=True):
            if name not in found:
                above.set_axis_off()
                below.set_axis_off()
                continue
            _show(above, found[name][0], limit, name)
            if name == "truth":
                _spectra(below, {key: found[key] for key in shown if key in found})
            else:
                error = float(relative_l2(found[name][0], truth[0]))
                _show(below, found[name][0] - truth[0], limit, f"error, {error:.1%}")
    return figure


def _show(axis: Axes, field: Tensor, limit: float, title: str) -> None:
    axis.imshow(field, cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower", interpolation="nearest")
    axis.set_title(title, fontsize=8)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _spectra(axis: Axes, fields: Mapping[str, Tensor]) -> None:
    for (name, field), colour in zip(fields.items(), ("#888888", "#000000", *_COLOURS[1:]), strict=False):
        found = spectra(field)
        shells = slice(0, max(field.shape[-2:]) // 3)
        power = found.enstrophy.mean(0)[shells].clamp_min(torch.finfo(field.dtype).tiny)
        axis.loglog(found.k[shells], power, color=colour, linewidth=2 if name == "truth" else 1, label=name)
    top = float(spectra(fields["truth"]).enstrophy.mean(0).max())
    axis.set(ylim=(top * 1e-6, top * 3))
    axis.set_title("enstrophy by wavenumber", fontsize=8)
    axis.tick_params(labelsize=6)
    axis.legend(fontsize=4.5, frameon=False, loc="lower left")
    axis.spines[["top", "right"]].set_visible(False)
