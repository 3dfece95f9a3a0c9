"""Metrics in closed form, and against one another."""

from __future__ import annotations

import math

import pytest
import torch

from scif.fields.fluids import (
    divergence,
    energy,
    enstrophy,
    palinstrophy,
    random_vorticity,
    relative_l2,
    spectra,
    spectrum_error,
    taylor_green,
    velocity,
    vorticity,
    vorticity_correlation,
)


def fields(n: int = 3, size: int = 24) -> torch.Tensor:
    return random_vorticity(n, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_taylor_green_in_closed_form() -> None:
    flow = taylor_green(16, dtype=torch.float64)
    assert float(energy(flow)) == pytest.approx(0.25)
    assert float(enstrophy(flow)) == pytest.approx(0.5)
    assert float(palinstrophy(flow)) == pytest.approx(1.0)
    y, x = torch.meshgrid(*[torch.arange(16).double() * 2 * math.pi / 16] * 2, indexing="ij")
    exact = torch.stack([-torch.cos(x) * torch.sin(y), torch.sin(x) * torch.cos(y)])
    torch.testing.assert_close(velocity(flow), exact)


@pytest.mark.parametrize("length", [2 * math.pi, (3.0, 1.5)])
def test_velocity_is_incompressible_and_curls_back(length) -> None:
    flow = fields() + 0.3
    u = velocity(flow, length=length)
    scale = flow.abs().max()
    assert divergence(u, length=length).abs().max() < 1e-10 * scale
    torch.testing.assert_close(vorticity(u, length=length), flow - flow.mean((-2, -1), keepdim=True))
    torch.testing.assert_close(energy(flow, length=length), u.square().sum(0).mean((-2, -1)) / 2)


def test_divergence_of_a_compressible_flow() -> None:
    x = torch.arange(16).double() * 2 * math.pi / 16
    u = torch.stack([torch.sin(x).expand(16, 16), torch.zeros(16, 16).double()])
    torch.testing.assert_close(divergence(u), torch.cos(x).expand(16, 16))


@pytest.mark.parametrize("size", [15, 24])
def test_spectra_sum_to_the_totals(size: int) -> None:
    flow = torch.randn(2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 2.0
    found = spectra(flow)
    torch.testing.assert_close(found.energy.sum(-1), energy(flow))
    torch.testing.assert_close(found.enstrophy.sum(-1), enstrophy(flow))
    torch.testing.assert_close(found.enstrophy.sum(-1), flow.var((-2, -1), correction=0) / 2)


def test_a_wave_is_in_its_shell() -> None:
    x = torch.arange(32).double() * 2 * math.pi / 32
    found = spectra(torch.cos(3 * x[:, None] + 4 * x)[None])
    assert found.enstrophy.argmax() == 4
    assert float(found.k[4]) == 5.0
    assert float(found.energy[0, 4]) == pytest.approx(0.25 / 25)


def test_distance_and_correlation() -> None:
    flow = fields()
    torch.testing.assert_close(relative_l2(0.25 * flow, flow), torch.full((3,), 0.75).double())
    torch.testing.assert_close(vorticity_correlation(3 * flow + 1, flow), torch.ones(3).double())
    torch.testing.assert_close(vorticity_correlation(-flow, flow), -torch.ones(3).double())


def test_spectrum_error_is_in_decades() -> None:
    flow = fields()
    assert float(spectrum_error(flow.roll(5, -1), flow)) == pytest.approx(0.0, abs=1e-6)
    assert float(spectrum_error(flow / math.sqrt(10), flow)) == pytest.approx(1.0)


def test_bad_fields_are_named() -> None:
    flow = fields()
    with pytest.raises(ValueError, match="estimate has shape"):
        relative_l2(flow[:, :8], flow)
    with pytest.raises(ValueError, match="truth has 1 entries that are NaN"):
        relative_l2(flow, flow.index_put([torch.tensor(0)] * 3, torch.tensor(torch.nan).double()))
    with pytest.raises(ValueError, match="two components"):
        divergence(flow)


@pytest.mark.parametrize("metric", [relative_l2, vorticity_correlation, spectrum_error])
def test_a_fluid_at_rest_is_refused_instead_of_scored_as_nan(metric) -> None:
    flow = fields()
    still = torch.cat([flow[:2], torch.zeros_like(flow[:1])])
    with pytest.raises(ValueError, match="truth has a field that is 0 everywhere"):
        metric(flow, still)
    with pytest.raises(ValueError, match="truth has a field that is 0 everywhere"):
        metric(flow[0], still[2])
