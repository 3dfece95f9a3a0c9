"""A training that is stopped keeps what it has; one that fails leaves the model as it was."""

from __future__ import annotations

import dataclasses
from typing import Any

import anndata as ad
import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback

import scif
from scif.counts import recipe
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
@pytest.mark.parametrize(("hook", "error"), [("on_train_epoch_end", RuntimeError), ("on_fit_start", KeyboardInterrupt)])
def test_a_second_training_that_fails_leaves_the_model_as_it_was(
    adata: ad.AnnData, hook: str, error: type[BaseException]
) -> None:
    model = ICM(adata)
    model.train(max_epochs=3, enable_progress_bar=False)
    before = {kind: model.get_denoised(estimator=kind) for kind in ("mean", "transport")}
    callback = type("Fail", (Callback,), {hook: failing(error)})()
    with pytest.raises((error, SystemExit)):
        model.train(max_epochs=3, consistency="none", enable_progress_bar=False, callbacks=[callback])
    for refitted in (False, True):  # with the choices of the training that is kept
        if refitted:
            model.refit("latent_prior")
        for kind, found in before.items():
            np.testing.assert_array_equal(model.get_denoised(estimator=kind), found)


@pytest.mark.trains
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("stage", ["shared_genes", "loadings", "gene_totals"])
def test_a_stage_that_fails_keeps_all_before_it(
    adata: ad.AnnData, monkeypatch: pytest.MonkeyPatch, stage: str, error: type[BaseException]
) -> None:
    whole = ICM(adata)
    whole.train(max_epochs=3, enable_progress_bar=False)
    broken = tuple(
        dataclasses.replace(line, fit=failing(error)) if line.name == stage else line for line in recipe.RECIPE
    )
    model = ICM(adata)
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "RECIPE", broken)
        with pytest.warns(UserWarning, match=rf"model\.refit\('{stage}'\)"):
            model.train(max_epochs=3, enable_progress_bar=False)
    assert model.fit_report_[stage].error
    assert model.fit_report_.stages[-1].stage == stage
    assert np.isfinite(model.get_denoised()).all()
    model.refit(stage)
    np.testing.assert_array_equal(model.get_denoised(), whole.get_denoised())
    assert [record.stage for record in model.fit_report_.stages] == [r.stage for r in whole.fit_report_.stages]
