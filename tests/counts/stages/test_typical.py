"""The share of genes that are not believed: alike in all cells, and of those the best."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from scif.counts.data.dataset import GatheredCounts
from scif.counts.network import CountNetwork
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.posterior.gene_variation import signal_share
from scif.counts.stages.typical import fit_typical


def flat(*, theta: float | None) -> CountConsistency:
    """A model that believes in no gene but the last."""
    technical = None if theta is None else torch.full((6,), theta)
    model = CountConsistency(CountNetwork(6, 2, num_batches=2), inverse_dispersion=technical)
    model.residual_shape.copy_(torch.tensor([0.05, 0.5, 2.0, 30.0, 1e6, 1.0]))
    model.profile.copy_(torch.tensor([0.01, 0.02, 0.05, 0.1, 0.02, 0.8]))
    model.credibility[:-1] = 0.0
    return model.eval()


def depths() -> GatheredCounts:
    rng = np.random.default_rng(0)
    library = np.exp(rng.normal(5.0, 1.2, 300)).astype(np.float32)
    return GatheredCounts(sparse.csr_matrix((300, 6), dtype=np.float32), rng.integers(0, 2, 300), library)


@pytest.mark.parametrize("theta", [None, 5.0])
def test_no_other_even_share_has_a_smaller_error(theta):
    """Summed over cells; variance s of the signal, s / k of the counts, and sqrt(k c) of a deviation kept."""
    model, gathered = flat(theta=theta), depths()
    fit_typical(model, gathered)
    shape, technical = model.residual_shape[:5], model.technical_of(torch.arange(5))
    with torch.no_grad():
        mu = torch.from_numpy(gathered.library)[:, None] * model.baseline(torch.from_numpy(gathered.batch))[:, :5]
    best = signal_share(mu, shape, technical).double()
    fitted = signal_share(model.typical[:5], shape, technical).double()

    def error(c: torch.Tensor) -> torch.Tensor:
        kept = (best * c).sqrt()
        return (1.0 - 2.0 * kept + kept.square() / best).sum(0)

    for factor in (0.9, 1.1):
        assert bool((error(fitted * factor) > error(fitted)).all())
    # between that of the posterior mean and that of nothing
    assert bool((error(best) < error(fitted)).all())
    assert bool((error(fitted) < len(mu)).all())


def test_at_one_depth_it_is_the_posterior_mean():
    model, gathered = flat(theta=None), depths()
    library = np.full_like(gathered.library, 200.0)
    fit_typical(model, GatheredCounts(gathered.x, np.zeros_like(gathered.batch), library))
    expected = 200.0 * model.baseline(torch.zeros(1, dtype=torch.long))[0, :5]
    torch.testing.assert_close(model.typical[:5], expected.detach(), rtol=1e-4, atol=0.0)


def test_genes_that_are_believed_are_left_alone():
    model = flat(theta=None)
    model.credibility.fill_(1.0)
    fit_typical(model, depths())
    assert model.typical.tolist() == [1.0] * 6
