"""Laws of the prior of latent codes: Bayes' theorem on parabolas, and transport that keeps a distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scif.counts.posterior.laplace import information, laplace, newton_step, pairs, symmetric, unpenalised
from scif.counts.posterior.latent import LatentPosterior, latent_posterior, mixture_posterior
from scif.counts.posterior.parameters import LatentPrior, Loadings

WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.double)
CENTRE = torch.tensor([[-1.0], [2.0]], dtype=torch.double)
SPREAD = torch.tensor([0.5, 1.5], dtype=torch.double)
INFORMATION = torch.tensor([0.2, 0.05], dtype=torch.double)


def _posterior(z: Tensor, molecules: Tensor) -> LatentPosterior:
    """Of codes on a line, under a mixture of two normals."""
    root = SPREAD.view(2, 1, 1)
    return mixture_posterior(
        z, molecules, log_weights=WEIGHTS.log(), centre=CENTRE, root=root, unroot=1 / root,
        information=(INFORMATION * SPREAD**2)[:, None],
    )  # fmt: skip


def test_posterior_is_bayes_theorem_by_quadrature():
    """Under a prior of two normals and a likelihood that is a parabola for each, against sums on a fine grid."""
    z, molecules = torch.tensor([[0.4], [-2.0]], dtype=torch.double), torch.tensor([10.0, 40.0], dtype=torch.double)
    found = _posterior(z, molecules)
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.double)
    prior = WEIGHTS / (SPREAD * math.sqrt(2 * math.pi)) * torch.exp(-0.5 * ((grid[:, None] - CENTRE.T) / SPREAD) ** 2)
    for cell in range(2):
        curved = molecules[cell] * INFORMATION
        joint = prior * torch.exp(-0.5 * curved * (grid[:, None] - z[cell]) ** 2)
        torch.testing.assert_close(found.weights[cell], joint.sum(0) / joint.sum(), rtol=1e-6, atol=1e-9)
        mean = (grid[:, None] * joint).sum() / joint.sum()
        torch.testing.assert_close(found.mean()[cell, 0], mean, rtol=1e-6, atol=1e-9)
        second = ((grid[:, None] - found.means[cell, :, 0]) ** 2 * joint).sum(0) / joint.sum(0)
        torch.testing.assert_close(found.variances[cell, :, 0] * SPREAD**2, second, rtol=1e-6, atol=1e-9)


def test_draws_have_the_posteriors_moments():
    z, molecules = torch.tensor([[0.4]], dtype=torch.double), torch.tensor([10.0], dtype=torch.double)
    one = _posterior(z, molecules)
    many = _posterior(z.expand(200_000, 1), molecules.expand(200_000))
    draws = many.draw(SPREAD.view(2, 1, 1), torch.Generator().manual_seed(0))
    within = (one.weights * one.variances[..., 0] * SPREAD**2).sum()
    between = (one.weights * (one.means[..., 0] - one.mean()) ** 2).sum()
    assert abs(float(draws.mean() - one.mean())) < 0.01
    assert abs(float(draws.var() / (within + between)) - 1) < 0.02


def test_much_information_leaves_the_code_where_it_is():
    z = torch.tensor([[0.4], [-2.0]], dtype=torch.double)
    torch.testing.assert_close(_posterior(z, torch.full((2,), 1e9).double()).mean(), z, rtol=1e-6, atol=1e-6)


def test_no_information_leaves_the_prior():
    found = _posterior(torch.zeros(1, 1).double(), torch.zeros(1).double())
    torch.testing.assert_close(found.weights[0], WEIGHTS)
    torch.testing.assert_close(found.means[0], CENTRE)
    torch.testing.assert_close(found.variances, torch.ones_like(found.variances))


def test_pairs_of_entries_make_symmetric_matrices():
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(symmetric(pairs(x)), x[:, :, None] * x[:, None, :])


def _cells() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    loadings, bias = 0.4 * torch.randn(60, 3, generator=rng), torch.randn(60, generator=rng)
    true = torch.randn(200, 3, generator=rng)
    counts = torch.poisson(400 * torch.softmax(bias + true @ loadings.T, 1), generator=rng)
    return counts.double(), true.double(), loadings.double(), bias.double()


def test_slope_and_curvature_are_derivatives_of_the_likelihood():
    counts, codes, loadings, bias = _cells()
    none = torch.zeros(60, dtype=torch.double)
    at = laplace(counts, codes, Loadings(loadings, bias), dispersion=none, offset=None)

    def log_likelihood(z: Tensor) -> Tensor:
        return (counts[0] * torch.log_softmax(bias + z @ loadings.T, 0)).sum()

    slope = torch.autograd.functional.jacobian(log_likelihood, codes[0])
    curvature = torch.autograd.functional.hessian(log_likelihood, codes[0])
    torch.testing.assert_close(at.slope(loadings)[0], slope)
    torch.testing.assert_close(information(at.weight, loadings)[0], -curvature)


def test_the_search_finds_the_peak_and_releases_it():
    """Climbing stops where slope and prior balance; released, the likelihood alone is level there."""
    counts, true, loadings, bias = _cells()
    z, none = torch.zeros_like(true), torch.zeros(60, dtype=torch.double)
    for _ in range(8):
        at = laplace(counts, z, Loadings(loadings, bias), dispersion=none, offset=None)
        z = newton_step(z, at.slope(loadings), information(at.weight, loadings))
    held = laplace(counts, z, Loadings(loadings, bias), dispersion=none, offset=None)
    torch.testing.assert_close(held.slope(loadings), z, rtol=1e-5, atol=1e-6)
    free = unpenalised(z, information(held.weight, loadings))
    left = laplace(counts, free, Loadings(loadings, bias), dispersion=none, offset=None).slope(loadings)
    assert float(left.norm()) < 0.1 * float(held.slope(loadings).norm())
    assert float((free - true).square().mean()) < 0.1


def test_an_offset_is_part_of_the_bias():
    counts, codes, loadings, bias = _cells()
    none, shift = torch.zeros(60, dtype=torch.double), torch.linspace(-1, 1, 60).double()
    inside = laplace(counts, codes, Loadings(loadings, bias + shift), dispersion=none, offset=None)
    beside = laplace(counts, codes, Loadings(loadings, bias), dispersion=none, offset=shift.expand(200, 60))
    torch.testing.assert_close(inside.slope(loadings), beside.slope(loadings))


def test_average_information_is_that_of_each_cell_where_cells_are_alike():
    counts, _, loadings, bias = _cells()
    counts, loadings, bias = counts.float(), loadings.float(), bias.float()
    strength, turn = torch.linalg.eigh(information(torch.softmax(bias, 0)[None], loadings)[0])
    decoder = Loadings(loadings, bias)
    prior = LatentPrior(
        entry=torch.eye(4, 3),
        loadings=decoder,
        loose=decoder,
        log_weights=torch.zeros(1),
        centre=torch.zeros(1, 3),
        root=turn[None],
        unroot=turn.T[None],
        information=strength[None],
        noise=torch.zeros(3, 3),
        stretch=torch.eye(3)[None],
        residual_shape=torch.full((60,), 1e6),
    )
    own, average = (
        latent_posterior(prior, torch.zeros(200, 3), counts, dispersion=torch.zeros(60), offset=None, exact=exact)
        for exact in (True, False)
    )
    torch.testing.assert_close(own.mean(), average.mean(), rtol=1e-3, atol=1e-4)
    assert float(own.mean().abs().max()) > 0.5
