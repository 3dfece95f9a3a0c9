"""Counts so shallow that nothing can be held out are trained on by the defaults."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from scif.model import ICM


def test_defaults_train_whatever_setup_accepts() -> None:
    adata = AnnData(np.eye(40, dtype=np.float32)[np.arange(80) % 40])  # one molecule a cell
    ICM.setup_anndata(adata)
    model = ICM(adata)
    with pytest.warns(UserWarning, match=r"held_out=0.05 of 80 molecules leaves none for validation, .* without early"):
        model.train(max_epochs=2, enable_progress_bar=False)
    np.testing.assert_allclose(model.get_denoised(return_numpy=True).sum(1), 1, rtol=1e-4)
    assert "validation_loss" not in model.history_
