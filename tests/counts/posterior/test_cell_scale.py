"""How much the genes of a cell vary on their own: closed forms, and what is put in is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.posterior.cell_scale import POINTS, STEADY, cell_scales, scale_evidence
from scif.counts.posterior.parameters import CellScale


def drawn(
    log2_scale: np.ndarray, *, genes: int = 300, alpha: float = 2.0, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Gamma-Poisson counts of cells of these scales, their expectations, and the genes' shapes."""
    rng = np.random.default_rng(seed)
    mu = rng.gamma(2.0, 1.5, genes) * np.ones((len(log2_scale), 1))
    shape = alpha * 2.0 ** log2_scale[:, None] * np.ones(genes)
    x = rng.poisson(mu * rng.gamma(shape) / shape)
    return torch.from_numpy(x).float(), torch.from_numpy(mu).float(), torch.full((genes,), alpha)


@pytest.mark.parametrize("theta", [None, 3.0])
def test_evidence_is_the_negative_binomial_likelihood(theta: float | None) -> None:
    x, mu, shape = drawn(np.array([-1.0, 0.0, 2.0]), genes=20)
    assert set(range(10)) | {12} <= set(x.flatten().int().tolist())  # from none to more than the few that are tabled
    technical = None if theta is None else torch.full_like(shape, theta)
    found = scale_evidence(x, mu, shape, inverse_dispersion=technical).numpy()
    expected = []
    for scale in 2.0**POINTS:
        own = 1.0 / (scale * shape.numpy())
        total = own if theta is None else own + 1.0 / theta + own / theta
        chance = 1.0 / (1.0 + mu.numpy() * total)
        expected.append(stats.nbinom.logpmf(x.numpy(), 1.0 / total, chance).sum(1))
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-3)


def test_sparse_and_dense_counts_say_the_same():
    x, mu, shape = drawn(np.linspace(-1.0, 1.0, 5), genes=30)
    sparse = SparseCounts.from_scipy(x.numpy())
    torch.testing.assert_close(scale_evidence(sparse, mu, shape), scale_evidence(x, mu, shape))


@pytest.mark.parametrize("depth", [1.0, 100.0])
def test_evidence_is_that_of_double_precision(depth: float) -> None:
    """Rounded logarithms made a cell's scale depend on the last bit of its expectation, and so on its minibatch."""
    _, mu, shape = drawn(np.zeros(40), genes=60)
    x = torch.from_numpy(np.random.default_rng(0).poisson(depth * mu.numpy())).float()
    mu = (depth * mu).float()
    found, exact = (scale_evidence(x, part, shape) for part in (mu, mu.double()))
    torch.testing.assert_close(found, exact, rtol=0.0, atol=1e-8)


def test_genes_that_do_not_vary_say_nothing():
    x, mu, shape = drawn(np.linspace(-1.0, 1.0, 5), genes=40)
    steady = shape.clone()
    steady[::2] = 2 * STEADY
    alone = scale_evidence(x[:, 1::2], mu[:, 1::2], shape[1::2])
    torch.testing.assert_close(scale_evidence(x, mu, steady), alone)


def test_scales_are_found():
    truth = np.random.default_rng(1).normal(0.0, 0.8, 400)
    x, mu, shape = drawn(truth)
    found = cell_scales(CellScale(0.0, 0.8), scale_evidence(x, mu, shape)).log2().numpy()
    found -= 0.5 * np.log(2.0) * 0.8**2  # one is the scale of the average dispersion, not of the median one
    assert np.corrcoef(found, truth)[0, 1] > 0.93
    assert abs((found - truth).mean()) < 0.05
    assert (found - truth).std() < 0.35 * truth.std()


def test_a_cell_of_which_nothing_is_known_is_an_average_one():
    nothing = torch.zeros(len(POINTS), 2, dtype=torch.float64)
    torch.testing.assert_close(cell_scales(CellScale(0.7, 0.5), nothing), torch.ones(2, dtype=torch.float64))


def test_what_all_cells_have_in_common_drops_out():
    """Expectations that are fitted to the counts make all cells look steadier; the prior's centre takes that up."""
    x, mu, shape = drawn(np.linspace(-0.5, 0.5, 50), genes=2000)
    plain = cell_scales(CellScale(0.0, 0.8), scale_evidence(x, mu, shape))
    # shapes taken for smaller than they are make all scales larger
    shifted = cell_scales(CellScale(0.5, 0.8), scale_evidence(x, mu, shape * 2.0**-0.5))
    ratio = (shifted / plain).log2()
    assert float(ratio.std()) < 0.03
    assert abs(float(ratio.mean())) < 0.05
