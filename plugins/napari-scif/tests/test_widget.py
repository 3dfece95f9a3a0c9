"""The panel driven as a user drives it, without a screen."""

from __future__ import annotations

from pathlib import Path

import napari
import numpy as np
import pytest
import tifffile
from napari_scif import DenoiseWidget
from napari_scif._work import axes_of

SIDE = 64


def noisy() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    clean = 100 + 50 * np.sin(x / 7) * np.cos(y / 5)
    return (clean + np.random.default_rng(0).normal(0, 10, (3, SIDE, SIDE))).astype(np.float32)


@pytest.fixture
def widget(qtbot):
    viewer = napari.viewer.ViewerModel()
    viewer.add_image(noisy(), name="cells")
    panel = DenoiseWidget(viewer)
    qtbot.addWidget(panel)
    panel.noise.setCurrentText("gaussian")
    panel.steps.setValue(12)
    return panel


def wait(qtbot, panel) -> None:
    qtbot.waitUntil(lambda: panel.buttons["Train"].isEnabled(), timeout=120_000)


def test_calibrate_train_denoise(widget, qtbot) -> None:
    widget.buttons["Calibrate"].click()
    wait(qtbot, widget)
    assert "sigma" in widget.message.text()
    assert not widget.buttons["Stop"].isEnabled()
    assert not widget.buttons["Denoise"].isEnabled()
    widget.buttons["Train"].click()
    assert widget.buttons["Stop"].isEnabled() and not widget.buttons["Train"].isEnabled()
    wait(qtbot, widget)
    assert "Trained" in widget.message.text()
    assert widget.bar.value() == widget.bar.maximum() > 1
    widget.buttons["Denoise"].click()
    wait(qtbot, widget)
    layers = widget.viewer.layers
    np.testing.assert_allclose(
        layers["cells denoised"].data + layers["cells removed"].data, layers["cells"].data, rtol=1e-5
    )
    assert layers["cells denoised"].data.std() < layers["cells"].data.std()


def test_stop_keeps_what_was_learnt(widget, qtbot) -> None:
    widget.steps.setValue(100_000)
    widget.buttons["Train"].click()
    qtbot.waitUntil(lambda: widget.bar.value() > 2, timeout=120_000)
    widget.buttons["Stop"].click()
    wait(qtbot, widget)
    assert "Stopped early" in widget.message.text()
    assert widget.buttons["Denoise"].isEnabled()


def test_axes_are_guessed_and_what_the_user_writes_stays(widget, qtbot) -> None:
    assert widget.axes.text() == "TYX"
    widget.axes.setText("CYX")
    widget.viewer.add_image(noisy()[0], name="one")
    assert widget.axes.text() == "CYX"
    widget.buttons["Calibrate"].click()
    assert not widget.buttons["Stop"].isEnabled()  # there is no training to stop
    assert "Measuring" in widget.message.text()
    wait(qtbot, widget)
    assert widget.message.text().count("sigma") == 3
    widget.layers.setCurrentText("one")
    assert widget.axes.text() == "YX"
    widget.axes.setText("TYX")
    widget.buttons["Calibrate"].click()
    wait(qtbot, widget)
    assert "Refused: axes is 'TYX'" in widget.message.text()


def test_a_folder(widget, qtbot, tmp_path: Path) -> None:
    widget.train_on(tmp_path)
    assert "holds no image" in widget.message.text()
    tifffile.imwrite(tmp_path / "a.tif", noisy(), metadata={"axes": "TYX"})
    widget.steps.setValue(3)
    widget.train_on(tmp_path)
    wait(qtbot, widget)
    assert "Trained" in widget.message.text()


def test_refusals_are_shown(widget, qtbot) -> None:
    widget.viewer.add_image(np.zeros((64, 64), np.float32), name="blank")
    widget.layers.setCurrentText("blank")
    widget.buttons["Train"].click()
    wait(qtbot, widget)
    assert "Refused" in widget.message.text()


def test_the_manifest_names_the_widget() -> None:
    import napari_scif
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(Path(napari_scif.__file__).with_name("napari.yaml"))
    assert manifest.contributions.commands[0].python_name == "napari_scif:DenoiseWidget"
    manifest.validate_imports()


def test_axes_of_layers() -> None:
    assert [axes_of(n, rgb=False) for n in (2, 3, 4)] == ["YX", "TYX", "TZYX"]
    assert axes_of(4, rgb=True) == "TYXC"
    with pytest.raises(ValueError, match="9 axes"):
        axes_of(9, rgb=False)
