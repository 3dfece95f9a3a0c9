from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn

from scif.core import Anchor, Batches, ConsistencyFunction, Engine, InverseConsistency, NonFiniteLoss, Objective, fit
from scif.core.ema import ExponentialAverage
from scif.core.monitor import CollapseWarning
from scif.core.noise import Gaussian
from scif.core.objective import LossOutput
from scif.nn import TimeMLP

X1 = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) * 3.0


def make_model(*, dropout: float = 0.0) -> ConsistencyFunction:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConsistencyFunction(TimeMLP(2, hidden=8, depth=1, time_dim=4, dropout=dropout), data_scale=2.8)
        nn.init.normal_(model.net.outlet.weight, std=0.1)
    return model


class Quadratic(Objective):
    """Squared weights of a linear model: gradients without surprises."""

    name = "quadratic"

    def forward(self, model: nn.Module, x1: Any, *, teacher: Any = None, generator: Any = None, **_: Any) -> LossOutput:
        return LossOutput(model.weight.square().sum() * x1.mean())


class Rows(Objective):
    """Mean squared distance of a model's output from one."""

    name = "rows"

    def forward(self, model: nn.Module, x1: Any, *, teacher: Any = None, generator: Any = None, **_: Any) -> LossOutput:
        return LossOutput((model(x1) - 1.0).square().mean())


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.trains
@pytest.mark.parametrize("interrupted_at", [4, 7], ids=["between-epochs", "within-an-epoch"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path: Path, interrupted_at: int, accumulate: int) -> None:
    # 50 rows in batches of 12 make 4 batches an epoch
    def run(**options: Any) -> nn.Module:
        noise = Gaussian(1.0)
        objective = Anchor(noise, fraction=(0.5, 0.9)) + InverseConsistency(noise, resamples=2)
        arguments = {"batch_size": 12, "max_steps": 10, "warmup_steps": 3, "accumulate_grad_batches": accumulate}
        return fit(make_model(dropout=0.2), objective, X1, ema_teacher=True, **arguments, **options)

    keep = pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=interrupted_at, save_top_k=-1)
    whole = run(callbacks=[keep])
    keep = pl.callbacks.ModelCheckpoint(tmp_path, every_n_train_steps=interrupted_at)
    resumed = run(callbacks=[keep], resume_from=tmp_path / f"step={interrupted_at}.ckpt")
    assert torch.equal(weights(whole), weights(resumed))


def test_a_seed_decides_everything_and_the_global_generator_is_left_alone() -> None:
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed + len(runs))
        before = torch.get_rng_state()
        runs.append(
            weights(
                fit(
                    make_model(dropout=0.2),
                    InverseConsistency(Gaussian(1.0)),
                    X1,
                    max_steps=3,
                    batch_size=16,
                    seed=seed,
                )
            )
        )
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_the_average_follows_its_law() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = ExponentialAverage(model, decay=0.5)
    expected = 0.0
    for n in range(20):
        value = float(n % 5)
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
        decay = min(0.5, n / (n + 9))
        expected = decay * expected + (1.0 - decay) * value
    assert float(average.module.weight) == pytest.approx(expected, rel=1e-6)
    assert not average.module.weight.requires_grad


def test_buffers_are_averaged_from_when_they_change_and_in_copies_too() -> None:
    """Those that stay are left alone; the law is that of the weights."""
    model = nn.BatchNorm1d(2)
    average = ExponentialAverage(model, decay=0.5)
    expected = torch.zeros(2)
    for n in range(8):
        if n >= 3:
            model.running_mean.fill_(float(n))
            model.num_batches_tracked.fill_(n)
        average.update_parameters(model)
        decay = min(0.5, n / (n + 9))
        expected = decay * expected + (1.0 - decay) * model.running_mean
        if n == 5:
            model, average = pickle.loads(pickle.dumps((model, average)))
    torch.testing.assert_close(average.module.running_mean, expected)
    torch.testing.assert_close(average.module.running_var, torch.ones(2))
    assert int(average.module.num_batches_tracked) == 7


def test_means_of_an_epoch_are_logged_with_its_last_step() -> None:
    """Also where the run ends within an epoch."""
    seen: list[float] = []

    class Given(Objective):
        def forward(self, model: nn.Module, x1: Any, *, teacher: Any = None, generator: Any = None, **_: Any) -> Any:
            seen.append(float(len(seen)))
            return LossOutput(0.0 * model.weight.sum() + seen[-1])

    logged: list[float] = []

    class Read(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            logged.append(float(trainer.callback_metrics["train_loss"]))

    fit(nn.Linear(1, 1, bias=False), Given(), X1[:40], max_steps=10, batch_size=10, callbacks=[Read()])
    assert logged == [1.5, 5.5, 8.5]


def test_the_average_is_updated_once_for_each_optimiser_step() -> None:
    engine = Engine(make_model(), InverseConsistency(Gaussian(1.0)))
    trainer = pl.Trainer(max_steps=5, accumulate_grad_batches=3, logger=False, enable_checkpointing=False,
                         enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    trainer.fit(engine, Batches(X1, 10))
    assert int(engine.ema.n_averaged) == 5


def test_accumulation_equals_one_large_batch() -> None:
    linear = nn.Linear(2, 1)
    states = []
    for batch_size, accumulate in ((40, 1), (10, 4)):
        model = copy.deepcopy(linear)
        fit(model, Rows(), X1[:40], max_steps=1, batch_size=batch_size, accumulate_grad_batches=accumulate,
            gradient_clip=None)  # fmt: skip
        states.append(weights(model))
    torch.testing.assert_close(states[0], states[1])


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_the_run_with_the_last_good_weights(bad: str) -> None:
    seen: list[Tensor] = []

    class Breaking(Objective):
        def forward(self, model: nn.Module, x1: Any, *, teacher: Any = None, generator: Any = None, **_: Any) -> Any:
            loss = model.weight.square().sum()
            seen.append(weights(model))
            if len(seen) < 3:
                return LossOutput(loss)
            # the square root of nothing is finite, its slope is not
            return LossOutput(loss / 0.0 if bad == "loss" else loss + (model.weight * 0.0).abs().sum().sqrt())

    model = nn.Linear(1, 1, bias=False)
    what = "the loss is inf at step 2" if bad == "loss" else "a gradient is not finite at step 2"
    with pytest.raises(NonFiniteLoss, match=what):
        fit(model, Breaking(), X1, max_steps=10, batch_size=10)
    assert torch.equal(weights(model), seen[2])
    assert torch.isfinite(weights(model)).all()


def test_the_learning_rate_rises_and_decays() -> None:
    rates: list[float] = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    model = nn.Linear(1, 1, bias=False)
    fit(model, Quadratic(), X1.abs(), max_steps=50, batch_size=10, lr=0.1, warmup_steps=9, callbacks=[Watch()])
    rise, fall = rates[:9], rates[9:]
    assert rise == pytest.approx([0.01 * (i + 1) for i in range(9)])
    assert fall[0] == pytest.approx(0.1)
    assert all(a > b for a, b in zip(fall[:-1], fall[1:], strict=True))
    assert fall[-1] == pytest.approx(0.001, rel=0.5)


def test_conditions_of_a_batch_reach_the_network_row_by_row() -> None:
    class Labelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor, t: Tensor, *, label: Tensor) -> Tensor:
            # observations were labelled by their own first entry: a wrong order would show
            assert x.shape[0] == label.shape[0]
            rows = label[:: x.shape[0] // len(label.unique())]
            assert len(rows.unique()) == len(rows)
            return self.scale * x * (1 - t.unsqueeze(1)) + t.unsqueeze(1) * label.unsqueeze(1)

    data = {"x1": X1, "label": X1[:, 0].clone()}
    fit(Labelled(), InverseConsistency(Gaussian(1.0), resamples=2), data, max_steps=2, batch_size=10)


def test_mixed_precision_trains() -> None:
    model = make_model()
    before = weights(model)
    averaged = fit(model, InverseConsistency(Gaussian(1.0)), X1, max_steps=3, batch_size=25, precision="bf16-mixed")
    after = weights(averaged)
    assert after.dtype == torch.float32
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


def test_validation_uses_the_same_numbers_every_time() -> None:
    engine = Engine(make_model(), InverseConsistency(Gaussian(1.0)))
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    losses = [pl.Trainer(**options).validate(engine, Batches(X1, 25), verbose=False) for _ in range(2)]
    assert losses[0] == losses[1]
    assert losses[0][0]["validation_loss"] > 0


def test_a_collapsed_run_warns_by_name() -> None:
    x1 = torch.randn(400, 2, generator=torch.Generator().manual_seed(1)) * 2.0**0.5

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value = nn.Parameter(torch.zeros(2))

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.where(t.unsqueeze(1) > 0, self.value, x)

    with pytest.warns(CollapseWarning, match="this run is collapsing"):
        fit(Constant(), InverseConsistency(Gaussian(1.0), num_steps=1), x1, max_steps=1)


def test_batches_cover_the_data_in_an_order_of_their_own() -> None:
    batches = Batches(torch.arange(10), 5, seed=3)
    first, second = (torch.cat(list(batches)) for _ in range(2))
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(10))
    assert first.tolist() != second.tolist()
    assert torch.equal(torch.cat(list(Batches(torch.arange(10), 5, seed=3))), first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0"),
        ({"max_steps": 1, "batch_size": 0}, "batch_size is 0"),
        ({"max_steps": 1, "lr": -1.0}, "lr is -1.0"),
        ({"max_steps": 1, "ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"max_steps": 1, "optimizer": "sgd"}, "optimizer is 'sgd'; choose 'adamw' or 'muon'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(make_model(), InverseConsistency(Gaussian(1.0)), X1, **arguments)


def test_data_of_unequal_length_and_unknown_batches_are_named() -> None:
    with pytest.raises(ValueError, match=r"parts of \[40, 50\] rows"):
        Batches({"x1": X1, "label": X1[:40]}, 10)
    with pytest.raises(TypeError, match="a batch is a str"):
        Engine(make_model(), InverseConsistency(Gaussian(1.0))).unpack("rows")


TWO_PROCESSES = {"accelerator": "cpu", "devices": 2, "strategy": "ddp_fork"}


@pytest.mark.slow
def test_two_processes_draw_different_numbers_and_resume_bit_for_bit(tmp_path: Path) -> None:
    def run(**options: Any) -> nn.Module:
        settings = {"max_steps": 7, "batch_size": 5, "ema_teacher": True, **TWO_PROCESSES}
        return fit(make_model(dropout=0.2), InverseConsistency(Gaussian(1.0), resamples=2), X1, **settings, **options)

    keep = pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=4)
    whole, resumed = run(callbacks=[keep]), run(resume_from=tmp_path / "step=4.ckpt")
    assert torch.equal(weights(whole), weights(resumed))
    checkpoint = torch.load(tmp_path / "step=4.ckpt", weights_only=False)
    first, second = (state["generator"] for state in checkpoint["random_states"])
    assert not torch.equal(first, second)


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch() -> None:
    models = [nn.Linear(2, 1)]
    models.append(copy.deepcopy(models[0]))
    fit(models[0], Rows(), X1, max_steps=6, batch_size=20)
    fit(models[1], Rows(), X1, max_steps=6, batch_size=10, **TWO_PROCESSES)
    torch.testing.assert_close(weights(models[0]), weights(models[1]))
