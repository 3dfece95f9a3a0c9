"""The mean of two compositions: one of them alone where counts leave no doubt."""

from __future__ import annotations

import pytest
import torch
from scipy import sparse

from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.posterior.composition import composition_ratio, mean_composition

#: Latent factors of a cell: the likelihood ratio that chance explains.
FACTORS = 20


def compositions(cells: int = 50, genes: int = 30, *, apart: float = 0.2) -> tuple[torch.Tensor, ...]:
    """Counts of the first of two compositions, and both."""
    generator = torch.Generator().manual_seed(0)
    logits, change = torch.randn(2, cells, genes, generator=generator, dtype=torch.float64)
    rho, other = torch.softmax(logits, 1), torch.softmax(logits + apart * change, 1)
    return torch.poisson(300.0 * rho, generator=generator), rho, other


def test_without_overdispersion_it_is_the_ratio_of_poisson_likelihoods() -> None:
    x, rho, other = compositions()
    library = x.sum(1, keepdim=True)
    likelihood = [
        torch.distributions.Poisson(library * part).log_prob(x).sum(1) for part in (rho, other)
    ]  # fmt: skip
    ratio = composition_ratio(x, rho, other, dispersion=torch.zeros(30, dtype=torch.float64))
    torch.testing.assert_close(ratio, likelihood[1] - likelihood[0])
    assert float(ratio.mean()) < 0


def test_it_turns_its_sign_when_both_change_places() -> None:
    x, rho, other = compositions()
    dispersion = torch.rand(30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    forth, back = (composition_ratio(x, *pair, dispersion=dispersion) for pair in ((rho, other), (other, rho)))
    torch.testing.assert_close(forth, -back)


def test_sparse_and_dense_counts_say_the_same() -> None:
    x, rho, other = (part.float() for part in compositions())
    stored = SparseCounts.from_scipy(sparse.csr_matrix(x.numpy()))
    dispersion = torch.full((30,), 0.3)
    dense, found = (composition_ratio(counts, rho, other, dispersion=dispersion) for counts in (x, stored))
    torch.testing.assert_close(found, dense)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_it_is_the_mean_where_both_will_do(share: float) -> None:
    x, rho, other = compositions()
    dispersion = torch.zeros(30, dtype=torch.float64)
    assert float(composition_ratio(x, rho, other, dispersion=dispersion).abs().max()) < FACTORS
    found = mean_composition(x, rho, other, share=share, dispersion=dispersion, factors=FACTORS)
    torch.testing.assert_close(found, torch.lerp(rho, other, share))


@pytest.mark.parametrize("astray", ["first", "second"])
def test_one_that_has_gone_astray_has_no_weight(astray: str) -> None:
    """It puts nearly all molecules into a gene that has none; even where that gene varies widely on its own."""
    x, rho, _ = compositions()
    x[:, 0] = 0.0
    lost = rho.clone()
    lost[:, 0] = 100.0
    lost /= lost.sum(1, keepdim=True)
    dispersion = torch.full((30,), 2.0, dtype=torch.float64)
    pair = (lost, rho) if astray == "first" else (rho, lost)
    found = mean_composition(x, *pair, share=0.5, dispersion=dispersion, factors=FACTORS)
    torch.testing.assert_close(found, rho, rtol=0.0, atol=1e-2)
