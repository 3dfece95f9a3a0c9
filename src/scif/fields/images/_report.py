"""A report on a user's own images, where no truth is known."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scif.fields.images.metrics import RingCorrelation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ImageReport"]

Plane = NDArray[np.float64]


@dataclass(frozen=True)
class ImageReport:
    """Evaluation of denoised images without a truth, made by :meth:`~scif.fields.images.ImageDenoiser.report`.

    All values are measured on at most eight centred crops of one channel, spread over the images.
    """

    noise: str
    """Noise channel that the denoiser assumes."""
    risk: Mapping[str, float]
    """Mean squared error relative to the unknown clean image, by method, in squared pixel values. The estimate is
    unbiased, so it can be slightly negative; the smallest value is the best method. Filters have the best of a few
    strengths."""
    removed_mean: float
    """Mean of the removed part, in standard deviations of the noise; it should be near 0."""
    removed_variance: float
    """Variance of the removed part relative to that of the noise; it should be at most 1."""
    autocorrelation: Plane = field(repr=False)
    """Autocorrelation of the removed part, by lag in rows and columns; 1 in the centre."""
    rings_before: RingCorrelation = field(repr=False)
    """Correlation of two independent halves of the noisy image by spatial frequency."""
    rings_after: RingCorrelation = field(repr=False)
    """Correlation of one denoised half with the other, noisy half, by spatial frequency."""
    halves: str
    """Method that made the halves."""
    means: Plane = field(repr=False)
    """Mean brightness of groups of pixels."""
    variances: Plane = field(repr=False)
    """Measured noise variance of these groups."""
    assumed: Plane = field(repr=False)
    """Noise variance of these groups according to the channel."""
    before: Plane = field(repr=False)
    """A noisy crop."""
    after: Plane = field(repr=False)
    """The same crop, denoised."""

    @property
    def neighbours(self) -> float:
        """Correlation of the removed part between neighbouring pixels: near 0 or below for white noise."""
        middle = self.autocorrelation.shape[0] // 2
        return float((self.autocorrelation[middle, middle + 1] + self.autocorrelation[middle + 1, middle]) / 2)

    @property
    def best(self) -> str:
        """Method with the lowest risk."""
        return min(self.risk, key=lambda name: self.risk[name])

    def to_frame(self) -> pd.DataFrame:
        """Table of risks by method: mean squared error, its ratio to no denoising, and the gain in decibels."""
        import pandas as pd

        frame = pd.DataFrame({"risk": self.risk})
        share = frame["risk"] / self.risk["nothing"]
        frame["share of the noise"] = share
        frame["gain in dB"] = -10 * np.log10(share.where(share > 0))
        return frame.rename_axis("method")

    def __str__(self) -> str:
        table = self.to_frame().to_string(float_format=lambda value: f"{value:.3g}")
        return (
            f"Noise: {self.noise}\n{table}\nRemoved: mean {self.removed_mean:.2g}, variance "
            f"{self.removed_variance:.2g} in units of the noise, correlation of neighbours {self.neighbours:.2g}\n"
            f"Resolution (halves by {self.halves}): {self.rings_before.resolution():.1f} pixels before, "
            f"{self.rings_after.resolution():.1f} after"
        )

    def figure(self) -> Figure:
        """Plot images before and after with the same contrast, the removed part, and the four measurements."""
        from scif.fields.images._report_figure import draw

        return draw(self)

    def to_html(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the report as one self-contained HTML file.

        Raises
        ------
        FileExistsError
            If the file exists and ``overwrite`` is False.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            msg = f"the file {str(path)!r} exists; choose another path or pass overwrite=True."
            raise FileExistsError(msg)
        buffer = io.BytesIO()
        figure: Any = self.figure()
        figure.savefig(buffer, format="png", dpi=130)
        picture = base64.b64encode(buffer.getvalue()).decode()
        path.write_text(
            "<!doctype html><meta charset='utf-8'><title>scif image report</title>"
            "<body style='font-family:sans-serif;max-width:60em;margin:2em auto'><h1>Image report</h1>"
            f"<pre>{html.escape(str(self))}</pre><img alt='figure' style='width:100%' "
            f"src='data:image/png;base64,{picture}'></body>",
            encoding="utf-8",
        )
        return path
