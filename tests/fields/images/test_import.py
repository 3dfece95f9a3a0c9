"""Images need no scvi-tools and no scanpy, and their metrics and calibration no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.trains
@pytest.mark.parametrize(
    ("names", "unwanted"),
    [("ImageDenoiser, calibrate", {"scvi", "scanpy", "anndata"}), ("psnr", {"torch", "lightning", "matplotlib"})],
    ids=["denoiser", "metrics"],
)
def test_nothing_unwanted_is_loaded(names: str, unwanted: set[str]) -> None:
    code = f"from scif.fields.images import {names}; import sys; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not unwanted & set(loaded)
