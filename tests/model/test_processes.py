"""Training the count model in two processes."""

from __future__ import annotations

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

import scif
from scif.model import ICM


class WriteBest(pl.Callback):
    def __init__(self, folder) -> None:
        self.folder = folder

    def on_train_end(self, trainer, plan) -> None:
        state = {name: value.clone() for name, value in plan.model.state_dict().items()}
        lr = trainer.lr_scheduler_configs[0].scheduler.get_last_lr()[0]
        torch.save((plan.best[0], state, lr / plan.lr), self.folder / f"{trainer.global_rank}.pt")


@pytest.mark.slow
def test_two_processes_keep_the_same_weights(tmp_path):
    """Each sees half of the held-out molecules: what is best must be judged by all of them."""
    data = scif.datasets.simulate_counts(700, 50, seed=0)  # two minibatches of validation
    ICM.setup_anndata(data)
    model = ICM(data)
    two = {"accelerator": "cpu", "devices": 2, "strategy": "ddp_fork", "callbacks": [WriteBest(tmp_path)]}
    model.train(max_epochs=6, batch_size=32, enable_progress_bar=False, **two)
    (first, weights, lr), (second, others, _) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert lr < 0.05  # half as many steps are the whole of the schedule
    assert first == pytest.approx(second, rel=1e-6)
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], msg=name)
    assert model.get_denoised().shape == data.shape


@pytest.mark.slow
@pytest.mark.parametrize(("alone", "each"), [(None, None), (64, 32)])
def test_two_processes_give_what_one_gives(alone: int | None, each: int | None) -> None:
    """Weights agree within 1e-5, as sums are rounded in another order, and denoised counts within 0.2%."""

    def trained(batch_size: int | None, **options) -> ICM:
        data = scif.datasets.simulate_counts(700, 50, seed=0)
        ICM.setup_anndata(data)
        model = ICM(data)
        model.train(max_epochs=6, batch_size=batch_size, accelerator="cpu", enable_progress_bar=False, **options)
        return model

    one, two = trained(alone, devices=1), trained(each, devices=2, strategy="ddp_fork")
    for name, value in one.module.network.state_dict().items():
        torch.testing.assert_close(two.module.network.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)
    found, wanted = two.get_denoised(), one.get_denoised()
    assert np.abs(found - wanted).sum() < 2e-3 * wanted.sum()
    assert one.history.keys() == two.history.keys()
    for name, curve in one.history.items():
        np.testing.assert_allclose(two.history[name], curve, rtol=1e-4, err_msg=name)
    assert one.fit_report_["network"].decision == two.fit_report_["network"].decision
