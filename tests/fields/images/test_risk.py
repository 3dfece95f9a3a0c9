"""The anchor's expectation is the squared error that nobody can see, and its scatter is small."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scif.core import Anchor, InverseConsistency, SquaredError
from scif.core.noise import CorrelatedGaussian, Gamma, Gaussian, Jacobi, NoiseModel, Poisson
from scif.fields.images._risk import OnPart, UnbiasedRisk, has_exact_split
from scif.fields.images._units import InUnits


class Smooth(nn.Module):
    """A fixed, bent, local denoiser."""

    def forward(self, x: Tensor, t: float | Tensor) -> Tensor:
        kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])[None, None] / 16
        blurred = nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"), kernel)
        return 0.5 * blurred + 0.5 * x.mean() + 0.3 * torch.tanh(x - blurred)


def scene(copies: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    return (0.5 + 0.3 * torch.sin(x / 2) * torch.cos(y / 3)).expand(copies, 1, 24, 24)


def repeated(noise: NoiseModel, *, fraction: float = 0.9, batches: int = 25) -> tuple[Tensor, Tensor]:
    """Estimated risks and the true errors at the visible part, one a batch."""
    rng = torch.Generator().manual_seed(0)
    objective, model, x0 = UnbiasedRisk(noise, fraction=fraction), Smooth(), scene(8)
    risks, errors = [], []
    for _ in range(batches):
        x1 = noise.sample(x0, generator=rng)
        risks.append(objective(model, x1, generator=rng).loss)
        a = noise.split(x1, fraction, generator=rng).a / fraction
        errors.append((model(a, 1.0) - x0).square().mean())
    return torch.stack(risks), torch.stack(errors)


@pytest.mark.parametrize(
    "noise",
    [Gaussian(0.1), CorrelatedGaussian(torch.ones(3, 3), 0.1), Poisson(0.02), Gamma(20.0)],
    ids=lambda noise: type(noise).__name__,
)
def test_exact_split_gives_the_exact_expectation(noise: NoiseModel) -> None:
    risks, errors = repeated(noise)
    standard_error = float((risks - errors).std()) / len(risks) ** 0.5
    assert float(risks.mean() - errors.mean()) == pytest.approx(0, abs=4 * standard_error)
    assert standard_error < 0.1 * float(errors.mean())


def test_scatter_stays_bounded_where_that_of_the_plain_prediction_explodes() -> None:
    noise, model, x0 = Gaussian(0.1), Smooth(), scene(8)
    rng = torch.Generator().manual_seed(0)
    x1 = noise.sample(x0, generator=rng)

    def scatter(fraction: float) -> tuple[float, float]:
        ours, plain = [], []
        for _ in range(20):
            ours.append(UnbiasedRisk(noise, fraction=fraction)(model, x1, generator=rng).loss)
            parts = noise.split(x1, fraction, generator=rng)
            plain.append(SquaredError()(model(parts.a / fraction, 1.0), parts.b / (1 - fraction)).mean())
        return float(torch.stack(ours).std()), float(torch.stack(plain).std())

    (ours, plain), (ours_near, plain_near) = scatter(0.8), scatter(0.99)
    assert ours_near < 2 * ours
    assert plain_near > 4 * plain
    assert ours_near < plain_near / 20


def test_its_gradient_is_that_of_the_plain_prediction_on_average() -> None:
    noise = Gaussian(0.1)
    gain = torch.tensor(0.8, requires_grad=True)
    x0 = scene(64)
    rng = torch.Generator().manual_seed(0)
    differences = []
    for _ in range(25):
        x1 = noise.sample(x0, generator=rng)
        ours = UnbiasedRisk(noise, fraction=0.8)(lambda x, t: gain * x, x1, generator=rng).loss
        truth = 2 * float(((0.8 * x0 - x0) * x0).mean()) + 2 * 0.8 * 0.01 / 0.8
        differences.append(float(torch.autograd.grad(ours, gain)[0]) - truth)
    mean = torch.tensor(differences)
    assert abs(float(mean.mean())) < 4 * float(mean.std()) / len(mean) ** 0.5


def test_mirrored_parts_have_the_same_expectation_and_scatter_less() -> None:
    """Averaged over the same noise, so that what differs is the estimate."""
    noise, model, x0 = Gaussian(0.1), Smooth(), scene(8)
    rng = torch.Generator().manual_seed(0)
    x1 = noise.sample(x0, generator=rng)
    plain, mirrored = (
        torch.stack([objective(model, x1, generator=rng).loss for _ in range(400)])
        for objective in (UnbiasedRisk(noise, fraction=0.6, mirrored=on) for on in (False, True))
    )
    assert mirrored.std() < 0.95 * plain.std()
    error = ((plain.var() + mirrored.var()) / 400).sqrt()
    assert abs(float(plain.mean() - mirrored.mean())) < 4 * float(error)


def test_skewed_exact_parts_are_not_mirrored() -> None:
    """The mirror image of a thinned count is no thinned count."""
    assert InUnits(Gaussian(0.1), offset=0.0, scale=2.0).mirrored_split
    assert CorrelatedGaussian(torch.ones(3, 3), 0.1).mirrored_split
    assert not Poisson(0.5).mirrored_split
    assert not Gamma(20.0).mirrored_split


def test_exact_splits_are_recognised() -> None:
    x1 = torch.rand(4, 1, 8, 8)
    assert has_exact_split(Gaussian(0.1), x1)
    assert has_exact_split(Poisson(0.5), 0.5 * torch.poisson(4 * x1))
    assert not has_exact_split(Poisson(0.5), x1)
    assert not has_exact_split(Jacobi(), x1)
    assert Anchor(Gaussian(0.1)).name == UnbiasedRisk(Gaussian(0.1)).name
    with pytest.raises(ValueError, match="fraction"):
        UnbiasedRisk(Gaussian(0.1), fraction=1.0)


def test_an_objective_on_part_of_a_batch_is_the_objective_of_these_rows() -> None:
    x1, icm = scene(8), InverseConsistency(Gaussian(0.1), num_steps=3)
    whole, part = (
        objective(Smooth(), rows, generator=torch.Generator().manual_seed(0)).loss
        for objective, rows in ((icm, x1[:2]), (OnPart(icm, share=0.25), x1))
    )
    assert torch.equal(whole, part)
    assert OnPart(icm, share=0.01)(Smooth(), x1).loss.isfinite()
    assert OnPart(icm, share=0.5).name == icm.name
