from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
from anndata import AnnData

from scif.model import ICM


@pytest.mark.trains
def test_training_says_what_scif_does_and_nothing_else(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    adata = AnnData(np.random.default_rng(0).poisson(1.0, (200, 100)).astype(np.float32))
    lightning = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = lightning.level
    ICM.setup_anndata(adata)
    with caplog.at_level(logging.INFO, logger="lightning.pytorch"), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ICM(adata, n_latent=4).train(enable_progress_bar=False)
    assert not [str(each.message) for each in told if "LeafSpec" in str(each.message)]
    assert not [each for each in caplog.messages if "available" in each or "Tip" in each or "train_dataloader" in each]
    assert capsys.readouterr().out == ""
    assert lightning.level == level
