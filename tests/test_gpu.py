"""What is trained or drawn on a GPU is what a processor gives; skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from anndata import AnnData

from scif.core import ConsistencyFunction, InverseConsistency, InverseFlowMatching, Objective, Velocity, fit, transport
from scif.core.noise import Gaussian
from scif.fields.fluids import FluidInverter, laminar, relative_l2
from scif.fields.images import ImageDenoiser, psnr
from scif.metrics import poisson_nll, split_counts
from scif.model import ICM
from scif.nn import TimeMLP

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def trained(adata: AnnData, accelerator: str, *, setup: dict[str, Any] | None = None, **options: Any) -> ICM:
    ICM.setup_anndata(adata, **(setup or {}))
    model = ICM(adata)
    model.train(accelerator=accelerator, enable_progress_bar=False, **options)
    return model


def loss(adata: AnnData, accelerator: str, **options: Any) -> float:
    split = split_counts(adata.layers["counts"] if "counts" in adata.layers else adata.X, 0.9, seed=0)
    seen = AnnData(split.train.astype(np.float32))
    return poisson_nll(trained(seen, accelerator, **options).get_denoised(), split.test, scale=split.scale)


@pytest.mark.parametrize("options", [{}, {"precision": "bf16-mixed"}, {"num_steps": 2, "max_epochs": 20}])
def test_counts_are_learned_as_well(pbmc: AnnData, options: dict[str, Any]) -> None:
    on_processor = loss(pbmc, "cpu", **options)
    assert loss(pbmc, "gpu", **options) == pytest.approx(on_processor, rel=1e-3)


@pytest.mark.parametrize("estimator", ["mean", "transport"])
def test_one_model_gives_the_same_anywhere(simulated: AnnData, estimator: str) -> None:
    model = trained(simulated, "cpu", setup={"batch_key": "batch"}, max_epochs=10)
    arguments = {"estimator": estimator, "transform_batch": simulated.obs["batch"].iloc[0]}
    expected, scales = model.get_denoised(**arguments), model.get_cell_scale()
    model.to_device("cuda:0")
    np.testing.assert_allclose(model.get_denoised(**arguments), expected, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(model.get_cell_scale(), scales, rtol=2e-3)
    draws = model.get_denoised(estimator="sample", n_samples=100)
    assert abs(draws.mean() / simulated.X.mean() - 1.0) < 0.01


def test_a_model_of_a_gpu_loads_on_a_processor(simulated: AnnData, tmp_path: Path) -> None:
    model = trained(simulated, "gpu", setup={"batch_key": "batch"}, max_epochs=5)
    assert model.device.type == "cuda"
    model.save(tmp_path / "model")
    loaded = ICM.load(tmp_path / "model", simulated, accelerator="cpu")
    np.testing.assert_allclose(loaded.get_denoised(), model.get_denoised(), rtol=2e-3, atol=1e-4)
    loaded.train(max_epochs=2, accelerator="gpu", enable_progress_bar=False)  # and goes on there


@pytest.mark.parametrize(
    "objective", [InverseConsistency(Gaussian(0.5)), InverseFlowMatching(Gaussian(0.5))], ids=["icm", "ifm"]
)
def test_the_core_trains(objective: Objective) -> None:
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randn(2000, 2, generator=generator) * torch.tensor([2.0, 0.1])
    x1 = Gaussian(0.5).sample(x0, generator=generator)
    make = ConsistencyFunction if isinstance(objective, InverseConsistency) else Velocity
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make(TimeMLP(2, hidden=32))
    averaged = fit(model, objective, x1, max_steps=200, batch_size=256, lr=5e-3, ema_decay=0.95, accelerator="gpu")
    found = transport(averaged.cuda(), x1.cuda(), noise=Gaussian(0.5)).value
    assert found.device.type == "cuda"
    assert found[:, 1].var() < 0.5 * x1[:, 1].var()


def test_images_are_learned_there_and_denoised_anywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grids = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    clean = 120 + 70 * np.sin(grids[1] / 5) * np.cos(grids[0] / 7)
    noisy = (clean + 25 * rng.normal(size=(12, 64, 64))).astype(np.float32)
    noise = Gaussian(25.0)
    denoiser = ImageDenoiser(noise, widths=(8, 12), num_steps=3)
    short = {"batch_size": 6, "patch": 24, "lr": 1e-2, "ema_decay": 0.9, "accelerator": "gpu"}
    denoiser.fit(noisy, max_steps=60, **short)
    assert denoiser.restorers_[0].noise.scale.device.type == "cuda"  # where it was trained
    ImageDenoiser(noise, widths=(4, 6)).fit(noisy, max_steps=2, **short)  # while the first is there
    here = denoiser.to("cpu").denoise(noisy)
    there = denoiser.to("cuda").denoise(noisy)
    np.testing.assert_allclose(here, there, rtol=1e-2)
    assert psnr(clean, here[0]) - psnr(clean, noisy[0]) > 8
    denoiser.save(tmp_path / "denoiser.safetensors")
    np.testing.assert_allclose(ImageDenoiser.load(tmp_path / "denoiser.safetensors").denoise(noisy), here, rtol=1e-3)


def test_a_flow_is_inverted() -> None:
    case = laminar(viscosity=0.15, duration=0.5, cutoff=3)
    pairs = case.draw(64, 16, generator=torch.Generator().manual_seed(0))
    inverter = FluidInverter(case.channel, width=8, modes=4, depth=2)
    inverter.fit(pairs.final, max_steps=30, batch_size=16, accelerator="gpu")
    initial = inverter.invert(pairs.final)
    assert relative_l2(initial, pairs.initial).mean() < 0.5 * relative_l2(pairs.final, pairs.initial).mean()


def test_the_same_seed_gives_the_same_result(pbmc: AnnData) -> None:
    """To the last bit, as on a processor."""
    first, second = (trained(pbmc.copy(), "gpu", max_epochs=20) for _ in range(2))
    assert np.array_equal(first.get_denoised(), second.get_denoised())
    assert np.array_equal(first.get_denoised(), first.get_denoised())
