"""The panel: a layer, its noise, training with a bar and a stop button, results as layers."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_scif import _work

if TYPE_CHECKING:
    import napari

__all__ = ["DenoiseWidget"]

_KINDS = ("auto", "gaussian", "correlated_gaussian", "poisson", "poisson_gaussian")


class _Signals(QObject):
    stepped = Signal(int, int)


class DenoiseWidget(QWidget):
    """Calibrate, train, denoise; one of these at a time, beside the window."""

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer, self.denoiser, self.folder = viewer, None, None
        self._stop, self._signals, self._worker = threading.Event(), _Signals(), None
        self._signals.stepped.connect(self._show_step)
        self.layers, self.noise, self.steps = QComboBox(), QComboBox(), QSpinBox()
        self.noise.addItems(_KINDS)
        self.steps.setRange(0, 100_000)
        self.steps.setSpecialValueText("by size")
        self.buttons = {name: QPushButton(name) for name in ("Calibrate", "Train", "Folder", "Stop", "Denoise")}
        self.buttons["Folder"].setText("Train on folder")
        self.bar, self.message = QProgressBar(), QLabel("Choose a layer, then train.")
        self.message.setWordWrap(True)
        self._lay_out()
        actions = (self.calibrate, self.train, self.choose_folder, self.stop, self.denoise)
        for button, action in zip(self.buttons.values(), actions, strict=True):
            button.clicked.connect(lambda _checked=False, action=action: action())
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._list_layers)
        self._list_layers()
        self._enable(busy=False)

    def calibrate(self) -> None:
        """Measure the noise of the layer."""
        from scif.fields.images import calibrate_files

        layer = self._layer()
        if layer is None:
            return
        pixels, axes = _pixels(layer)
        self._begin(lambda: calibrate_files(pixels, axes=axes), lambda found: self._say("; ".join(map(str, found))))

    def train(self) -> None:
        """Learn from the layer."""
        layer = self._layer()
        if layer is not None:
            self._train(*_pixels(layer))

    def choose_folder(self) -> None:
        """Learn from the images of a folder that the user names."""
        folder = QFileDialog.getExistingDirectory(self, "Folder of noisy images")
        if folder:
            self.train_on(Path(folder))

    def train_on(self, folder: Path) -> None:
        """Learn from the images of a folder."""
        try:
            files = _work.images_in(folder)
        except ValueError as error:
            self._say(f"Refused: {error}")
            return
        self._train(files, None)

    def stop(self) -> None:
        """End training after this step and keep what was learnt."""
        self._stop.set()
        self._say("Stopping after this step ...")

    def denoise(self) -> None:
        """Add the result, what was removed, and the uncertainty as layers."""
        layer = self._layer()
        if layer is None or self.denoiser is None:
            self._say("Train first.")
            return
        pixels, axes = _pixels(layer)
        self._begin(lambda: _work.denoise(self.denoiser, pixels, axes), lambda made: self._add(layer, made))

    def _train(self, images: Any, axes: str | None) -> None:
        self._stop.clear()
        noise, most = self.noise.currentText(), self.steps.value() or None
        self.bar.setValue(0)

        def work() -> Any:
            return _work.train(images, axes, noise, max_steps=most, tell=self._signals.stepped.emit, stop=self._stop)

        self._begin(work, self._trained)

    def _trained(self, denoiser: Any) -> None:
        self.denoiser = denoiser
        self.bar.setValue(self.bar.maximum())
        self._say("Stopped early; what was learnt is kept." if self._stop.is_set() else "Trained.")

    def _begin(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run beside the window; warnings and errors are shown in it."""

        def watched() -> tuple[Any, str, Exception | None]:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always", UserWarning)
                try:
                    result, error = work(), None
                except (ValueError, TypeError, OSError, ImportError, RuntimeError) as refused:
                    result, error = None, refused
            said = [str(one.message) for one in heard if issubclass(one.category, UserWarning)]
            return result, said[-1] if said else "", error

        def finish(result: tuple[Any, str, Exception | None]) -> None:
            made, said, error = result
            self._enable(busy=False)
            if error is not None:
                self._say(f"Refused: {error}")
                return
            then(made)
            if said:
                self._say(f"{self.message.text()} {said}")

        self._enable(busy=True)
        self._say("Working ...")
        self._worker = create_worker(watched)
        self._worker.returned.connect(finish)
        self._worker.start()

    def _add(self, layer: Any, made: Any) -> None:
        for name, pixels in made:
            options: dict[str, Any] = {"name": f"{layer.name} {name}", "scale": layer.scale}
            if name == "denoised":
                options |= {"contrast_limits": layer.contrast_limits, "colormap": layer.colormap}
            elif name == "removed":
                width = float(np.quantile(np.abs(pixels), 0.999)) or 1.0
                options |= {"contrast_limits": (-width, width), "colormap": "gray", "visible": False}
            else:
                options |= {"colormap": "magma", "visible": False}
            if layer.rgb:
                options = {key: value for key, value in options.items() if key not in ("colormap", "contrast_limits")}
                peak = float(np.iinfo(layer.dtype).max) if np.dtype(layer.dtype).kind in "iu" else 1.0
                pixels = (pixels / peak).clip(0, 1)
            self.viewer.add_image(pixels, rgb=layer.rgb, **options)
        self._say("Denoised.")

    def _layer(self) -> Any:
        name = self.layers.currentText()
        if name not in self.viewer.layers:
            self._say("Open an image first.")
            return None
        return self.viewer.layers[name]

    def _list_layers(self, _event: Any = None) -> None:
        from napari.layers import Image

        kept = self.layers.currentText()
        names = [one.name for one in self.viewer.layers if isinstance(one, Image)]
        self.layers.clear()
        self.layers.addItems(names)
        if kept in names:
            self.layers.setCurrentText(kept)

    def _show_step(self, done: int, total: int) -> None:
        self.bar.setMaximum(max(total, 1))
        self.bar.setValue(done)

    def _enable(self, *, busy: bool) -> None:
        for name, button in self.buttons.items():
            button.setEnabled(busy if name == "Stop" else not busy)
        if self.denoiser is None:
            self.buttons["Denoise"].setEnabled(False)

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.buttons["Denoise"].setEnabled(self.denoiser is not None and not self.buttons["Stop"].isEnabled())

    def _lay_out(self) -> None:
        form = QFormLayout()
        for name, part in (("Layer", self.layers), ("Noise", self.noise), ("Steps at most", self.steps)):
            form.addRow(name, part)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for names in (("Calibrate",), ("Train", "Folder", "Stop"), ("Denoise",)):
            row = QHBoxLayout()
            for name in names:
                row.addWidget(self.buttons[name])
            layout.addLayout(row)
        layout.addWidget(self.bar)
        layout.addWidget(self.message)
        layout.addStretch()


def _pixels(layer: Any) -> tuple[np.ndarray, str]:
    """Pixels of a layer at its finest level, and the letters of their axes."""
    data = layer.data[0] if layer.multiscale else layer.data
    pixels = np.asarray(data)
    return pixels, _work.axes_of(pixels.ndim, rgb=layer.rgb)
