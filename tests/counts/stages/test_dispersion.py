"""Each gene's own variation: its evidence where it has any, that of similar genes where it has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scif.counts.config import DispersionConfig
from scif.counts.statistics.shape_grid import GRID, posterior_shapes

ROUNDS = DispersionConfig().rounds


def losses(shape: np.ndarray, *, cells: int, mean: float, seed: int = 0) -> torch.Tensor:
    """Negative log-likelihood of every shape of negative binomial counts of one mean, ``(shapes, genes)``."""
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.poisson(mean * rng.gamma(shape, 1 / shape, (cells, len(shape)))).astype(float))
    grid = GRID.double()[:, None, None]
    likelihood = torch.lgamma(x + grid) - torch.lgamma(grid) - (x + grid) * torch.log(mean + grid) + grid * grid.log()
    return -(likelihood + x * np.log(mean)).sum(1)


def test_what_is_well_measured_is_itself():
    shape = np.geomspace(0.1, 20.0, 30)
    found = posterior_shapes(losses(shape, cells=20_000, mean=5.0), torch.arange(30.0), rounds=ROUNDS)
    np.testing.assert_allclose(found, shape, rtol=0.18)  # steps of the grid are 0.25


@pytest.mark.trains
def test_what_is_not_measured_is_what_similar_genes_are():
    loss = losses(np.full(101, 2.0), cells=20_000, mean=5.0)
    loss[:, 50] = 3.0
    found = posterior_shapes(loss, torch.arange(101.0), rounds=ROUNDS)
    assert abs(float(found[50]) / 2.0 - 1.0) < 0.2


def test_other_levels_of_expression_say_nothing():
    """Variation differs between scarce and abundant genes, and none of the latter is measured."""
    shape, expression = np.repeat([0.5, 20.0], 200), torch.arange(400.0)
    loss = losses(shape, cells=2_000, mean=5.0)
    unknown = [10, 390]
    loss[:, unknown] = 0.0
    found = posterior_shapes(loss, expression, rounds=ROUNDS)[unknown]
    np.testing.assert_allclose(found, [0.5, 20.0], rtol=0.3)


def test_errors_are_smaller_than_those_of_each_gene_alone():
    shape = np.random.default_rng(1).gamma(20.0, 0.1, 400)
    loss = losses(shape, cells=60, mean=2.0)
    alone, shared = GRID[loss.argmin(0)].numpy(), posterior_shapes(loss, torch.arange(400.0), rounds=ROUNDS)
    error = {
        name: ((1.0 / found - 1.0 / shape) ** 2).mean()
        for name, found in (("alone", alone), ("shared", shared.numpy()))
    }
    assert error["shared"] < 0.5 * error["alone"], error


def test_order_of_genes_does_not_matter():
    loss, expression = losses(np.geomspace(0.5, 5.0, 150), cells=100, mean=1.0), torch.arange(150.0)
    order = torch.from_numpy(np.random.default_rng(0).permutation(150))
    torch.testing.assert_close(
        posterior_shapes(loss[:, order], expression[order], rounds=ROUNDS),
        posterior_shapes(loss, expression, rounds=ROUNDS)[order],
    )


def test_genes_with_few_molecules_are_lent_no_variation():
    """None of them varies, none says much: on average they have nearly none, the more rounds the less."""
    loss = losses(np.full(400, 1e6), cells=1000, mean=0.05)
    few, many = (
        float((1.0 / posterior_shapes(loss, torch.arange(400.0), rounds=rounds)).mean())
        for rounds in (10, DispersionConfig().variance_rounds)
    )
    assert many < 0.04 < few, (many, few)


@pytest.mark.trains
def test_genes_that_a_few_cells_have_all_of_are_found():
    """A marker of four cells in a thousand has the shape 0.004; with a least one of 0.02 its cells lose most of it."""
    shape = np.full(200, 0.004)
    found = posterior_shapes(losses(shape, cells=20_000, mean=0.05), torch.arange(200.0), rounds=ROUNDS)
    np.testing.assert_allclose(found, shape, rtol=0.35)
    assert float(found.median()) < 0.005


def test_genes_without_variation_are_lent_none_of_those():
    """The least shapes have dispersions of up to ten thousand: with an even prior at first this is 149."""
    loss = losses(np.full(60, 1e6), cells=200, mean=0.02)
    assert float((1.0 / posterior_shapes(loss, torch.arange(60.0), rounds=ROUNDS)).max()) < 0.6
