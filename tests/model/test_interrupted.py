"""A training that is stopped keeps what it has; one that fails leaves the model as it was."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback

import scif
from scif.counts.stages import network as _plan
from scif.model import ICM


@pytest.fixture(scope="module")
def adata() -> ad.AnnData:
    data = scif.datasets.simulate_counts(150, 60, n_types=3, seed=0)
    ICM.setup_anndata(data)
    return data


def failing(error: type[BaseException]) -> Any:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    return fail


def test_an_interrupted_training_keeps_its_weights(adata: ad.AnnData) -> None:
    class Stop(Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    model = ICM(adata)
    with pytest.warns(UserWarning, match="interrupted"):
        model.train(max_epochs=50, enable_progress_bar=False, callbacks=[Stop()])
    assert model.is_trained
    assert np.isfinite(model.get_denoised()).all()


@pytest.mark.trains
@pytest.mark.parametrize(
    ("hook", "error", "then"),
    [
        ("on_train_epoch_end", RuntimeError, None),
        ("on_fit_start", KeyboardInterrupt, None),
        ("on_train_epoch_end", KeyboardInterrupt, RuntimeError),  # what is trained so far cannot be finished
    ],
)
def test_a_second_training_that_fails_leaves_the_model_as_it_was(
    adata: ad.AnnData,
    monkeypatch: pytest.MonkeyPatch,
    hook: str,
    error: type[BaseException],
    then: type[BaseException] | None,
) -> None:
    model = ICM(adata)
    model.train(max_epochs=3, enable_progress_bar=False)
    before = {kind: model.get_denoised(estimator=kind) for kind in ("mean", "transport")}
    if then is not None:
        monkeypatch.setattr(_plan, "refit_loadings", failing(then))
    callback = type("Fail", (Callback,), {hook: failing(error)})()
    with pytest.raises((error, SystemExit) if then is None else then):
        model.train(max_epochs=3, enable_progress_bar=False, callbacks=[callback])
    for kind, found in before.items():
        np.testing.assert_array_equal(model.get_denoised(estimator=kind), found)
