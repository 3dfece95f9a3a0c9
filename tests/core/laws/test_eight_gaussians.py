"""Eight Gaussians on the unit circle come back from their noisy points alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from scif.core import ConsistencyFunction, Inverse, InverseConsistency, InverseFlowMatching, Karras, PseudoHuber, fit
from scif.core.noise import Gaussian
from scif.nn import TimeMLP

NOISE = Gaussian(0.2)
ANGLES = torch.arange(8) * math.pi / 4
MODES = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)


def points(seed: int) -> tuple[Tensor, Tensor]:
    x0 = MODES.repeat(1000, 1)
    return x0, NOISE.sample(x0, generator=torch.Generator().manual_seed(seed))


def psnr(x: Tensor, x0: Tensor) -> float:
    return float((-10.0 * (x - x0).square().mean(1).log10()).mean())


def denoised(objective: Inverse, *, steps: int, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Fresh clean points, fresh noisy points, and what a model trained on others makes of the latter."""
    _, x1 = points(0)
    fresh_x0, fresh_x1 = points(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConsistencyFunction.calibrated(TimeMLP(2, hidden=48, depth=2), x1, NOISE)
    averaged = fit(model, objective, x1, max_steps=steps, batch_size=500, lr=1e-2, ema_decay=0.99, **options)
    with torch.no_grad():
        return fresh_x0, fresh_x1, objective.transport(averaged, fresh_x1)


def icm() -> InverseConsistency:
    return InverseConsistency(NOISE, schedule=Karras(), num_steps=11, distance=PseudoHuber(0.02))


def mode_weights(x: Tensor) -> Tensor:
    return torch.cdist(x, MODES).argmin(1).bincount(minlength=8) / len(x)


@pytest.mark.trains
def test_a_short_run_gains_decibels_and_keeps_all_modes() -> None:
    x0, x1, estimate = denoised(icm(), steps=500)
    assert psnr(x1, x0) == pytest.approx(16.49, abs=0.1)  # 10 log10(1 / sigma**2) + 10 / ln(10) * Euler's constant
    assert psnr(estimate, x0) > 21.0
    assert float((mode_weights(estimate) - 0.125).abs().max()) < 0.02


@pytest.mark.slow
def test_icm_reaches_31_decibels() -> None:
    x0, _, estimate = denoised(icm(), steps=2000)
    assert psnr(estimate, x0) >= 31.0
    assert float((mode_weights(estimate) - 0.125).abs().max()) < 0.02


@pytest.mark.slow
def test_ifm_with_an_averaged_teacher_comes_close() -> None:
    x0, _, estimate = denoised(InverseFlowMatching(NOISE, num_steps=3, prediction="x0"), steps=1000, ema_teacher=True)
    assert psnr(estimate, x0) > 24.0
    assert float((mode_weights(estimate) - 0.125).abs().max()) < 0.02
