"""Files that only microscopes write, through bioio; and what is said where it is not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tifffile

from scif.core.noise import Gaussian
from scif.fields.images import ImageDenoiser, open_image

PIXELS = np.random.default_rng(0).integers(100, 900, size=(3, 2, 40, 48)).astype(np.uint16)


def write_czi(path: Path) -> Path:
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(path)) as document:
        for t in range(3):
            for c in range(2):
                document.write(data=PIXELS[t, c, :, :, None], plane={"T": t, "C": c, "Z": 0})
        document.write_metadata("cells", channel_names={0: "a", 1: "b"}, scale_x=1e-7, scale_y=1e-7)
    return path


def test_czi(tmp_path: Path) -> None:
    pytest.importorskip("bioio_czi")
    opened = open_image(write_czi(tmp_path / "a.czi"))
    assert opened.axes == "TCZYX"
    np.testing.assert_array_equal(np.asarray(opened.source[:, :, 0]), PIXELS)
    denoiser = ImageDenoiser(Gaussian(20.0), widths=(4, 8)).fit(opened, max_steps=2, batch_size=8, patch=32)
    out = denoiser.denoise(tmp_path / "a.czi")
    assert out.name == "a_denoised.ome.tif"
    np.testing.assert_array_equal(tifffile.imread(out).reshape(PIXELS.shape), denoiser.denoise(PIXELS, axes="TCYX"))
    assert open_image(out).keep["metadata"]["PhysicalSizeX"] == pytest.approx(0.1)


@pytest.mark.parametrize("suffix", ["czi", "nd2", "lif"])
def test_what_is_no_such_file_is_named(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip(f"bioio_{suffix}")
    (tmp_path / f"a.{suffix}").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=rf"a\.{suffix}.*cannot be read by bioio-{suffix}"):
        open_image(tmp_path / f"a.{suffix}")


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.nd2").touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"scif-tools\[bioio\]"):
        open_image(tmp_path / "a.nd2")
