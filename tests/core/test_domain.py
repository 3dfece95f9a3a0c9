"""Domains hold their members, bring strays back and map the real line into themselves."""

from __future__ import annotations

import pytest
import torch

from scif.core import Domain

STRAYS = torch.tensor([-50.0, -0.3, 0.0, 0.4, 1.0, 7.5, 300.0])


@pytest.mark.parametrize("domain", [Domain.REAL, Domain.POSITIVE, Domain.UNIT])
def test_projection_and_smooth_map_stay_inside(domain: Domain) -> None:
    assert domain.contains(domain.project(STRAYS))
    assert domain.contains(domain.from_real(STRAYS))
    inside = domain.project(STRAYS)
    assert torch.equal(domain.project(inside), inside)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("domain", list(Domain))
def test_to_real_inverts_from_real(domain: Domain, dtype: torch.dtype) -> None:
    x = torch.linspace(0.01, 0.99, 50, dtype=dtype)
    torch.testing.assert_close(domain.from_real(domain.to_real(x)), x)
    real = torch.linspace(-5.0, 5.0, 50, dtype=dtype)
    torch.testing.assert_close(domain.to_real(domain.from_real(real)), real, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("domain", list(Domain))
def test_to_real_is_finite_at_the_edge(domain: Domain) -> None:
    assert bool(torch.isfinite(domain.to_real(torch.tensor([0.0, 1.0]))).all())


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Domain.REAL, float("nan")),
        (Domain.POSITIVE, -1.5),
        (Domain.UNIT, 1.25),
        (Domain.COUNTS, 2.5),
        (Domain.COUNTS, float("inf")),
    ],
)
def test_check_names_the_value(domain: Domain, value: float) -> None:
    with pytest.raises(ValueError, match=rf"x0 contains {value:g}"):
        domain.check(torch.tensor([1.0, value]), name="x0")
    domain.check(torch.tensor([1.0, 0.0]), name="x0")
