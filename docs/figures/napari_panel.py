"""Figure of the page on images, of the package ``napari-scif``: what its panel and the layers look like.

``QT_QPA_PLATFORM=offscreen python docs/figures/napari_panel.py`` writes ``docs/_static/napari.png``, in two minutes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import napari
import numpy as np
from napari.qt import get_qapp, get_stylesheet
from napari_scif import DenoiseWidget
from qtpy.QtWidgets import QApplication
from skimage import data

mpl.use("Agg")
OUT = Path(__file__).parents[1] / "_static" / "napari.png"
GAIN = 4.0  # pixel values for one photon
SIZE = (330, 300)  # of the panel, in pixels


def micrograph() -> np.ndarray:
    """A cell with shot noise, ``(256, 256)``."""
    clean = data.cell()[150:406, 260:516].astype(float)
    return (GAIN * np.random.default_rng(0).poisson(clean / GAIN)).astype(np.uint16)


def wait(application: QApplication, until: Callable[[], bool], *, seconds: float = 300.0) -> None:
    """Let the window live until something has happened."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError
        application.processEvents()
        time.sleep(0.01)


def picture(panel: DenoiseWidget, application: QApplication) -> np.ndarray:
    """Draw the panel."""
    application.processEvents()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "panel.png")
        panel.grab().save(path)
        return plt.imread(path)


def main() -> None:
    """Drive the panel as a user does."""
    application = get_qapp()
    application.setStyleSheet(get_stylesheet("dark"))
    viewer = napari.viewer.ViewerModel()
    viewer.add_image(micrograph(), name="cell")
    panel = DenoiseWidget(viewer)
    panel.resize(*SIZE)
    panel.show()
    panel.noise.setCurrentText("poisson")
    panel.steps.setValue(300)

    def idle() -> bool:
        return panel.buttons["Train"].isEnabled()

    panels = [picture(panel, application)]
    panel.buttons["Calibrate"].click()
    wait(application, idle)
    panels.append(picture(panel, application))
    panel.buttons["Train"].click()
    wait(application, lambda: panel.bar.value() > 120)
    panels.append(picture(panel, application))
    wait(application, idle)
    panel.buttons["Denoise"].click()
    wait(application, idle)
    panels.append(picture(panel, application))

    figure, axes = plt.subplots(
        2, 4, figsize=(11, 5.2), layout="constrained", gridspec_kw={"height_ratios": [SIZE[1] / SIZE[0], 1]}
    )
    for ax, image, title in zip(axes[0], panels, ("at first", "calibrated", "training", "denoised"), strict=True):
        ax.imshow(image)
        ax.set_title(f"the panel, {title}", fontsize=9)
    for ax, layer in zip(axes[1], viewer.layers, strict=True):
        low, high = layer.contrast_limits
        ax.imshow(layer.data, cmap=layer.colormap.name, vmin=low, vmax=high)
        ax.set_title(f"layer {layer.name!r}", fontsize=9)
    for ax in axes.flat:
        ax.set_axis_off()
    figure.savefig(OUT, dpi=150)


if __name__ == "__main__":
    main()
