"""One table of channels: whatever stands here is held to every law of the channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from scif.core.domain import Domain
from scif.core.noise import (
    Binomial,
    CorrelatedGaussian,
    Gamma,
    Gaussian,
    Jacobi,
    Multinomial,
    NegativeBinomial,
    NoiseModel,
    Poisson,
    PoissonGaussian,
    Rayleigh,
    SDEChannel,
    Simulator,
)


@dataclass(frozen=True)
class Case:
    """A channel, signals to try it on, and what it promises."""

    build: Callable[..., NoiseModel]
    x0: tuple[float, ...]
    params: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Two values of each parameter that may differ between samples."""
    grid: Callable[..., Tensor] | None = None
    """Where to sum or integrate ``exp(log_prob)``; ``None`` if there is no density entry by entry."""
    mass: bool = False
    splittable: bool = False
    smooth: bool = False
    """Whether samples are differentiable in ``x0``."""
    exact: bool = True
    """Whether moments are exact, not estimates."""
    compiles: bool = True

    def make(self, which: int = 0) -> NoiseModel:
        return self.build(**{name: values[which] for name, values in self.params.items()})

    def make_per_sample(self, pairs: int = 1) -> NoiseModel:
        """The first value for even samples, the second for odd ones."""
        return self.build(**{name: torch.tensor(both).repeat(pairs)[:, None] for name, both in self.params.items()})

    def signals(self, batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.tensor(self.x0, dtype=dtype).expand(batch, -1).clone()

    def interior(self, batch: int) -> Tensor:
        """Signals away from the ends of their support."""
        x0, support = self.signals(batch), self.make().support_x0
        return x0 if support is Domain.REAL else x0.clamp(0.1, 0.9 if support is Domain.UNIT else None)

    def points(self) -> Tensor:
        assert self.grid is not None
        return self.grid(**{name: values[0] for name, values in self.params.items()})

    def total(self, values: Tensor) -> Tensor:
        """Sum or integral over the grid (first axis)."""
        return values.sum(0) if self.mass else torch.trapezoid(values, self.points(), dim=0)


def counts(size: int) -> Tensor:
    return torch.arange(size, dtype=torch.float64)


def real(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, 8001, dtype=torch.float64)


def positive(high: float) -> Tensor:
    """Evenly spaced logarithms: densities may be steep at zero."""
    return torch.logspace(-14, 0, 8001, dtype=torch.float64) * high


def _speckled(x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    return x0.square() * torch.rand(x0.shape, dtype=x0.dtype, device=x0.device, generator=generator)


ANY, NON_NEGATIVE, WHOLE = (-1.0, 0.0, 3.0), (0.0, 0.7, 6.0), (0.0, 1.0, 9.0)

CASES = {
    "gaussian": Case(
        lambda sigma: Gaussian(sigma),
        ANY,
        {"sigma": (0.5, 2.0)},
        lambda sigma: real(-12, 14),
        splittable=True,
        smooth=True,
    ),
    "correlated_gaussian": Case(
        lambda sigma: CorrelatedGaussian(torch.tensor([0.3, 1.0, -0.6]), sigma),
        ANY,
        {"sigma": (0.5, 2.0)},
        splittable=True,
        smooth=True,
    ),
    "correlated_gaussian_reflect": Case(
        lambda sigma: CorrelatedGaussian(torch.tensor([0.3, 1.0, -0.6]), sigma, boundary="reflect"),
        ANY,
        {"sigma": (0.5, 2.0)},
        splittable=True,
        smooth=True,
    ),
    "poisson": Case(
        lambda gain: Poisson(gain),
        NON_NEGATIVE,
        {"gain": (0.5, 1.0)},
        lambda gain: counts(80) * gain,
        mass=True,
        splittable=True,
    ),
    "poisson_gaussian": Case(
        lambda gain, sigma, offset: PoissonGaussian(gain, sigma, offset=offset),
        NON_NEGATIVE,
        {"gain": (0.7, 2.0), "sigma": (0.4, 1.5), "offset": (0.3, -1.0)},
        lambda gain, sigma, offset: real(-4, 30),
        compiles=False,
    ),
    "gamma": Case(
        lambda shape: Gamma(shape),
        (0.5, 1.0, 4.0),
        {"shape": (3.0, 40.0)},
        lambda shape: positive(80),
        splittable=True,
        smooth=True,
    ),
    "rayleigh": Case(
        lambda scale, shift: Rayleigh(scale, shift=shift),
        (0.5, 1.0, 4.0),
        {"scale": (0.8, 0.3), "shift": (0.3, 1.0)},
        lambda scale, shift: real(0, 30),
        smooth=True,
    ),
    "negative_binomial": Case(
        lambda theta: NegativeBinomial(theta),
        NON_NEGATIVE,
        {"theta": (1.5, 20.0)},
        lambda theta: counts(400),
        mass=True,
        splittable=True,
    ),
    "multinomial": Case(
        lambda size: Multinomial(_flat(size)), (0.2, 1.0, 3.0), {"size": (20.0, 500.0)}, splittable=True, compiles=False
    ),
    "multinomial_own_total": Case(lambda: Multinomial(), WHOLE, splittable=True, compiles=False),
    "binomial": Case(lambda p: Binomial(p), WHOLE, {"p": (0.3, 0.9)}, lambda p: counts(12), mass=True),
    "jacobi": Case(lambda: Jacobi(1.5, 1.0, horizon=0.3), (0.0, 0.3, 1.0), {}, lambda: real(0, 1)[::2], compiles=False),
    "jacobi_euler": Case(
        lambda a, b: Jacobi(a, b, sampler="euler", num_steps=40),
        (0.2, 0.5, 0.8),
        {"a": (1.5, 4.0), "b": (1.0, 2.0)},
        smooth=True,
        compiles=False,
    ),
    "sde": Case(
        lambda horizon: SDEChannel(
            lambda x, tau: -x, lambda x, tau: 0.5 + 0 * x, horizon=horizon, num_steps=5, moment_draws=64
        ),
        ANY,
        {"horizon": (0.5, 2.0)},
        smooth=True,
        exact=False,
        compiles=False,
    ),
    "simulator": Case(lambda: Simulator(torch.sin), ANY, smooth=True),
    "random_simulator": Case(
        lambda: Simulator(_speckled, support_x0=Domain.POSITIVE, support_x1=Domain.POSITIVE, moment_draws=64),
        NON_NEGATIVE,
        smooth=True,
        exact=False,
    ),
    "gaussian_after_poisson": Case(
        lambda sigma, gain: Gaussian(sigma) @ Poisson(gain), NON_NEGATIVE, {"sigma": (0.5, 2.0), "gain": (2.0, 0.5)}
    ),
    "gaussian_after_gaussian": Case(
        lambda sigma, other: Gaussian(sigma) @ Gaussian(other),
        ANY,
        {"sigma": (0.6, 2.0), "other": (0.8, 0.1)},
        lambda sigma, other: real(-12, 14),
        splittable=True,
        smooth=True,
        compiles=False,
    ),
    "binomial_after_nb": Case(
        lambda p, theta: Binomial(p) @ NegativeBinomial(theta),
        NON_NEGATIVE,
        {"p": (0.4, 0.8), "theta": (2.0, 10.0)},
        lambda p, theta: counts(300),
        mass=True,
        splittable=True,
    ),
    "gaussian_after_simulator": Case(
        lambda sigma: Gaussian(sigma) @ Simulator(torch.sin),
        ANY,
        {"sigma": (0.5, 2.0)},
        lambda sigma: real(-12, 14),
        splittable=True,
        smooth=True,
    ),
    "poisson_after_gamma_after_gamma": Case(
        lambda shape: Poisson() @ (Gamma(shape) @ Gamma(5.0)), NON_NEGATIVE, {"shape": (3.0, 40.0)}
    ),
}


def _flat(size: float | Tensor) -> float | Tensor:
    """Library sizes are one number per sample, without the axis of the genes."""
    return size.flatten() if isinstance(size, Tensor) else size


def _params(condition: Callable[[Case], bool]) -> list[str]:
    return [name for name, case in CASES.items() if condition(case)]


_CONDITIONS: dict[str, Callable[[Case], bool]] = {
    "case": lambda case: True,
    "splittable": lambda case: case.splittable,
    "unsplittable": lambda case: not case.splittable,
    "summable": lambda case: case.grid is not None,
    "summable_part": lambda case: case.grid is not None and case.splittable,
    "smooth_density": lambda case: case.grid is not None and case.make().support_x0 is not Domain.COUNTS,
    "per_sample": lambda case: bool(case.params),
    "smooth": lambda case: case.smooth,
    "compiles": lambda case: case.compiles,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument of one of these names runs for each case in the table that fits."""
    for name, condition in _CONDITIONS.items():
        if name in metafunc.fixturenames:
            names = _params(condition)
            metafunc.parametrize(name, [CASES[n] for n in names], ids=names)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1234)


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    return CASES
