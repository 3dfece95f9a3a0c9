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
    QLineEdit,
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
_TIPS = {
    "Calibrate": "Measure which noise the layer has, and how strong it is.",
    "Train": "Learn from the layer alone; minutes for an image of 512 x 512.",
    "Folder": "Learn from all images of a folder that were taken alike.",
    "Stop": "End training; what was learnt is kept.",
    "Denoise": "Add the denoised layer, what was removed, and how far off it may be.",
}


class _Signals(QObject):
    stepped = Signal(int, int)


class DenoiseWidget(QWidget):
    """Calibrate, train, denoise; one of these at a time, beside the window."""

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer, self.denoiser = viewer, None
        self._stop, self._signals, self._worker = threading.Event(), _Signals(), None
        self._signals.stepped.connect(self._show_step)
        self.layers, self.axes, self.noise, self.steps = QComboBox(), QLineEdit(), QComboBox(), QSpinBox()
        self.axes.setToolTip("One letter for each axis: T time, Z planes, C channels, Y rows, X columns.")
        self.noise.addItems(_KINDS)
        self.noise.setToolTip("auto finds the kind; the strength is always measured.")
        self.steps.setRange(0, 100_000)
        self.steps.setSpecialValueText("by size")
        self.buttons = {name: QPushButton(name) for name in _TIPS}
        self.buttons["Folder"].setText("Train on folder")
        for name, tip in _TIPS.items():
            self.buttons[name].setToolTip(tip)
        self.bar, self.message = QProgressBar(), QLabel("Choose a layer, then train.")
        self.bar.setValue(0)
        self.message.setWordWrap(True)
        self._lay_out()
        actions = (self.calibrate, self.train, self.choose_folder, self.stop, self.denoise)
        for button, action in zip(self.buttons.values(), actions, strict=True):
            button.clicked.connect(lambda _checked=False, action=action: action())
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._list_layers)
        self.layers.currentTextChanged.connect(self._guess_axes)
        self._list_layers()
        self._enable(busy=False)

    def calibrate(self) -> None:
        """Measure the noise of the layer."""
        from scif.fields.images import calibrate_files

        layer = self._layer()
        if layer is None:
            return
        pixels, axes = _pixels(layer), self._axes()

        def tell(found: Any) -> None:
            self._say("; ".join(map(str, found)))

        self._begin("Measuring the noise ...", lambda: calibrate_files(pixels, axes=axes), tell)

    def train(self) -> None:
        """Learn from the layer."""
        layer = self._layer()
        if layer is not None:
            self._train(_pixels(layer), self._axes())

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
        pixels, axes = _pixels(layer), self._axes()
        self.bar.setRange(0, 0)  # busy: how far denoising is, is not known
        self._begin(
            "Denoising ...", lambda: _work.denoise(self.denoiser, pixels, axes), lambda made: self._add(layer, made)
        )

    def _train(self, images: Any, axes: str | None) -> None:
        self._stop.clear()
        noise, most = self.noise.currentText(), self.steps.value() or None
        self.bar.setValue(0)

        def work() -> Any:
            return _work.train(images, axes, noise, max_steps=most, tell=self._signals.stepped.emit, stop=self._stop)

        self._begin("Training ...", work, self._trained)
        self.buttons["Stop"].setEnabled(True)

    def _trained(self, denoiser: Any) -> None:
        self.denoiser = denoiser
        self.bar.setValue(self.bar.maximum())
        self._say("Stopped early; what was learnt is kept." if self._stop.is_set() else "Trained.")

    def _begin(self, doing: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run beside the window; warnings and errors are shown in it."""

        def watched() -> tuple[Any, str, Exception | None]:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always", UserWarning)
                try:
                    result, error = work(), None
                except (ValueError, TypeError, OSError, ImportError, RuntimeError) as refused:
                    result, error = None, refused
            said = dict.fromkeys(str(one.message) for one in heard if issubclass(one.category, UserWarning))
            return result, "\n".join(said), error

        def finish(result: tuple[Any, str, Exception | None]) -> None:
            made, said, error = result
            self._enable(busy=False)
            if self.bar.maximum() == 0:
                self.bar.setRange(0, 1)
                self.bar.setValue(int(error is None))
            if error is not None:
                self._say(f"Refused: {error}")
                return
            then(made)
            if said:
                self._say(f"{self.message.text()}\n{said}")

        self._enable(busy=True)
        self._say(doing)
        self._worker = create_worker(watched)
        self._worker.returned.connect(finish)
        self._worker.start()

    def _add(self, layer: Any, made: Any) -> None:
        for name, pixels in made:
            options: dict[str, Any] = {
                "name": f"{layer.name} {name}",
                "scale": layer.scale,
                "translate": layer.translate,
            }
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
                pixels = (pixels / peak + (0.5 if name == "removed" else 0.0)).clip(0, 1)
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
        blocked = self.layers.blockSignals(True)  # axes that the user wrote stay while the layer does
        self.layers.clear()
        self.layers.addItems(names)
        if kept in names:
            self.layers.setCurrentText(kept)
        self.layers.blockSignals(blocked)
        if self.layers.currentText() != kept:
            self._guess_axes(self.layers.currentText())

    def _guess_axes(self, name: str) -> None:
        """Letters for a layer that was chosen; the user corrects them where the stack is no movie."""
        if name in self.viewer.layers:
            layer = self.viewer.layers[name]
            try:
                self.axes.setText(_work.axes_of(_pixels(layer).ndim, rgb=layer.rgb))
            except ValueError as error:
                self._say(f"Refused: {error}")

    def _axes(self) -> str | None:
        """The letters in the panel."""
        return self.axes.text().strip() or None

    def _show_step(self, done: int, total: int) -> None:
        self.bar.setMaximum(max(total, 1))
        self.bar.setValue(done)

    def _enable(self, *, busy: bool) -> None:
        for name, button in self.buttons.items():
            button.setEnabled(not busy and name != "Stop")
        if self.denoiser is None:
            self.buttons["Denoise"].setEnabled(False)

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.buttons["Denoise"].setEnabled(self.denoiser is not None and self.buttons["Train"].isEnabled())

    def _lay_out(self) -> None:
        form = QFormLayout()
        rows = {"Layer": self.layers, "Axes": self.axes, "Noise": self.noise, "Steps at most": self.steps}
        for name, part in rows.items():
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


def _pixels(layer: Any) -> Any:
    """Pixels of a layer at its finest level, which may be lazy."""
    return layer.data[0] if layer.multiscale else layer.data
