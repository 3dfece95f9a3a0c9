"""Laws of the correlations of true expression."""

from __future__ import annotations

import numpy as np
import torch

from scif.counts.posterior.correlation import gene_correlation, gene_covariance


def _prior() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    root = 0.5 * torch.randn(3, 2, 2, generator=generator, dtype=torch.float64)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    return {"log_weights": weights.log(), "centre": centre, "root": root}


def _log_expression(prior: dict[str, torch.Tensor], loadings: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    which = torch.multinomial(prior["log_weights"].exp(), 50_000, replacement=True, generator=generator)
    noise = torch.randn(50_000, 2, 1, generator=generator, dtype=torch.float64)
    z = prior["centre"][which] + (prior["root"][which] @ noise)[..., 0]
    return torch.log_softmax(bias + z @ loadings.T, 1)


def test_simulated_correlations_are_recovered() -> None:
    generator = torch.Generator().manual_seed(2)
    prior, loadings = _prior(), torch.randn(30, 2, generator=generator, dtype=torch.float64)
    bias, shape = torch.randn(30, generator=generator, dtype=torch.float64), torch.full((30,), 3.0)
    true = _log_expression(prior, loadings, bias)
    true += torch.log1p(1.0 / shape).sqrt() * torch.randn(true.shape, generator=generator, dtype=torch.float64)
    found = gene_correlation(gene_covariance(loadings, bias, shape=shape, **prior))
    assert float((found - torch.from_numpy(np.corrcoef(true.T))).abs().mean()) < 0.02


def test_genes_that_share_no_variance_correlate_with_none() -> None:
    loadings = torch.tensor([[1.0, 0.0], [0.5, 0.5], [2.0, -1.0]])
    shared = torch.tensor([True, True, False])
    found = gene_covariance(loadings, torch.zeros(3), shape=torch.full((3,), 4.0), shared=shared, **_prior())
    assert bool((found[2, :2] == 0.0).all())
    assert float(found[2, 2]) == float(torch.log1p(torch.tensor(0.25, dtype=torch.float64)))


def test_correlations_have_a_unit_diagonal_even_without_variance() -> None:
    found = gene_correlation(torch.tensor([[0.0, 0.0], [0.0, 2.0]]))
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0]]
