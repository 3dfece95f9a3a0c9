"""How much the genes of a cell vary on their own: closed forms, and what is put in is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.posterior.cell_scale import POINTS, STEADY, CellScale


def drawn(
    log2_scale: np.ndarray, *, genes: int = 300, alpha: float = 2.0, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Gamma-Poisson counts of cells of these scales, their expectations, and the genes' shapes."""
    rng = np.random.default_rng(seed)
    mu = rng.gamma(2.0, 1.5, genes) * np.ones((len(log2_scale), 1))
    shape = alpha * 2.0 ** log2_scale[:, None] * np.ones(genes)
    x = rng.poisson(mu * rng.gamma(shape) / shape)
    return torch.from_numpy(x).float(), torch.from_numpy(mu).float(), torch.full((genes,), alpha)


def one(x: Tensor) -> Tensor:
    return torch.ones(len(x))


@pytest.mark.parametrize("theta", [None, 3.0])
def test_evidence_is_the_negative_binomial_likelihood(theta: float | None) -> None:
    x, mu, shape = drawn(np.array([-1.0, 0.0, 2.0]), genes=20)
    assert set(range(10)) | {12} <= set(x.flatten().int().tolist())  # from none to more than the few that are tabled
    technical = None if theta is None else torch.full_like(shape, theta)
    found = CellScale.evidence(x, mu, shape, one(x), inverse_dispersion=technical).numpy()
    expected = []
    for scale in 2.0**POINTS:
        own = 1.0 / (scale * shape.numpy())
        total = own if theta is None else own + 1.0 / theta + own / theta
        chance = 1.0 / (1.0 + mu.numpy() * total)
        expected.append(stats.nbinom.logpmf(x.numpy(), 1.0 / total, chance).sum(1))
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-3)


def test_earlier_points_of_a_path_are_sharper_counts():
    x, mu, shape = drawn(np.zeros(4), genes=20)
    t, theta = torch.tensor([0.3, 0.5, 0.8, 1.0]), torch.full_like(shape, 3.0)
    found = CellScale.evidence(x, mu, shape, t, inverse_dispersion=theta)
    for i, time in enumerate(t.tolist()):
        alone = CellScale.evidence(
            x[i : i + 1] / time**2, mu[i : i + 1] / time**2, shape, torch.ones(1), inverse_dispersion=theta / time**2
        )
        torch.testing.assert_close(found[:, i : i + 1] - found[0, i], alone - alone[0], rtol=1e-5, atol=1e-3)


def test_sparse_and_dense_counts_say_the_same():
    x, mu, shape = drawn(np.linspace(-1.0, 1.0, 5), genes=30)
    sparse = SparseCounts.from_scipy(x.numpy())
    torch.testing.assert_close(CellScale.evidence(sparse, mu, shape, one(x)), CellScale.evidence(x, mu, shape, one(x)))
    some = torch.arange(30) % 3 > 0
    torch.testing.assert_close(
        CellScale.likelihood(sparse, mu, shape, genes=some), CellScale.likelihood(x, mu, shape, genes=some)
    )


def test_genes_that_do_not_vary_say_nothing():
    x, mu, shape = drawn(np.linspace(-1.0, 1.0, 5), genes=40)
    steady = shape.clone()
    steady[::2] = 2 * STEADY
    alone = CellScale.evidence(x[:, 1::2], mu[:, 1::2], shape[1::2], one(x))
    torch.testing.assert_close(CellScale.evidence(x, mu, steady, one(x)), alone)


def test_scales_are_found():
    truth = np.random.default_rng(1).normal(0.0, 0.8, 400)
    x, mu, shape = drawn(truth)
    scale = CellScale(len(shape))
    scale.spread.fill_(0.8)
    found = scale(CellScale.evidence(x, mu, shape, one(x))).log2().numpy()
    found -= 0.5 * np.log(2.0) * 0.8**2  # one is the scale of the average dispersion, not of the median one
    assert np.corrcoef(found, truth)[0, 1] > 0.93
    assert abs((found - truth).mean()) < 0.05
    assert (found - truth).std() < 0.35 * truth.std()


def test_a_cell_of_which_nothing_is_known_is_an_average_one():
    scale = CellScale(3)
    nothing = torch.zeros(len(POINTS), 2, dtype=torch.float64)
    assert scale(nothing).tolist() == [1.0, 1.0]
    scale.centre.fill_(0.7)
    scale.spread.fill_(0.5)
    torch.testing.assert_close(scale(nothing), torch.ones(2, dtype=torch.float64))


def test_what_all_cells_have_in_common_drops_out():
    """Expectations that are fitted to the counts make all cells look steadier; the prior's centre takes that up."""
    x, mu, shape = drawn(np.linspace(-0.5, 0.5, 50), genes=2000)
    scale = CellScale(len(shape))
    scale.spread.fill_(0.8)
    plain = scale(CellScale.evidence(x, mu, shape, one(x)))
    scale.centre.fill_(0.5)
    # shapes taken for smaller than they are make all scales larger
    shifted = scale(CellScale.evidence(x, mu, shape * 2.0**-0.5, one(x)))
    ratio = (shifted / plain).log2()
    assert float(ratio.std()) < 0.03
    assert abs(float(ratio.mean())) < 0.05


@pytest.mark.parametrize("theta", [None, 3.0])
def test_likelihood_of_each_count_and_its_slope(theta: float | None) -> None:
    x, mu, shape = drawn(np.zeros(6), genes=12)
    technical = None if theta is None else torch.full_like(shape, theta)
    log_shape = shape.double().log().expand(6, 12).clone().requires_grad_()
    own = log_shape.exp()
    total = own if theta is None else 1.0 / (1.0 / own + 1.0 / theta + 1.0 / (own * theta))
    values, mean = x.double(), mu.double()
    ways = torch.lgamma(values + total) - torch.lgamma(total)
    expected = ways + total * total.log() - (values + total) * torch.log(mean + total)
    expected.sum().backward()
    for own in (shape, shape.expand(6, 12)):
        likelihood, slope = CellScale.likelihood(x, mu, own, genes=torch.arange(12) > 2, inverse_dispersion=technical)
        torch.testing.assert_close(slope, log_shape.grad[:, 3:].float(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(likelihood, expected[:, 3:].detach().float(), rtol=1e-4, atol=1e-4)
