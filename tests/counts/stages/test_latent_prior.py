"""Laws of the deconvolved prior of latent codes, and of what the model makes of it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch
from scipy import sparse

import scif
from scif.counts import training as plan
from scif.counts.posterior.latent import mixture_posterior
from scif.counts.statistics.mixture import Mixture
from scif.metrics import permute_genes, poisson_nll, pooled_profile, split_counts
from scif.model import ICM


def _fit(adata, *, n_latent: int | None = None, **training) -> ICM:
    ICM.setup_anndata(adata)
    model = ICM(adata, n_latent=n_latent)
    model.train(enable_progress_bar=False, **training)
    return model


@pytest.fixture(scope="module")
def simulation():
    adata = scif.datasets.simulate_counts(1500, 600, depth=2000.0, seed=11)
    return adata, _fit(adata)


def test_a_mixture_comes_back_from_noisy_codes():
    """Two clusters, one of them long: their weights, centres and shapes, not those of the noisy codes."""
    rng = np.random.default_rng(0)
    cluster = rng.random(4000) < 0.4
    codes = np.where(
        cluster[:, None], rng.normal(size=(4000, 2)) * [1.0, 0.2] + [4, 0], rng.normal(size=(4000, 2)) * 0.3
    )
    noise = 0.2
    z = torch.from_numpy(codes + noise * rng.normal(size=codes.shape))
    mixture, member = Mixture.clusters(z, most=2)
    information = torch.eye(2).double().expand(2, 2, 2) / noise**2
    for _ in range(60):
        axes = mixture.axes(information)
        mixture, member, _ = mixture.improved(z, torch.ones(4000).double(), information)
    found = mixture_posterior(z, torch.ones(4000).double(), **axes)
    order = mixture.centre[:, 0].argsort()
    assert abs(float(mixture.weights[order[1]]) - 0.4) < 0.03
    assert torch.allclose(mixture.centre[order], torch.tensor([[0.0, 0.0], [4.0, 0.0]]).double(), atol=0.1)
    variances = torch.stack([mixture.covariance[c].diagonal() for c in order])
    assert torch.allclose(variances, torch.tensor([[0.09, 0.09], [1.0, 0.04]]).double(), atol=0.06)
    # posterior means vary less than codes do, transported ones as much
    moved = mixture.centre + torch.einsum("cij,ncj->nci", mixture.stretch(found), found.means - mixture.centre)
    moved = torch.einsum("nc,ncj->nj", found.weights, moved)
    true = codes.var(0)
    assert (found.mean().var(0).numpy() < 0.995 * true).all()
    assert (np.abs(moved.var(0).numpy() / true - 1) < 0.1).all()
    assert member.shape == (4000, 2)


def test_a_step_of_the_mixture_has_the_moments_of_the_posteriors():
    """The fast sums are those of every cell's posterior, written out."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(700, 3, generator=generator).double() * torch.tensor([3.0, 1.0, 0.3]).double()
    molecules = torch.rand(700, generator=generator).double() * 5 + 0.5
    half = torch.randn(4, 3, 3, generator=generator).double()
    information = half @ half.mT
    mixture, _ = Mixture.clusters(z, most=4)
    axes = mixture.axes(information)
    found = mixture_posterior(z, molecules, **axes)
    size = found.weights.sum(0)
    centre = torch.einsum("nc,nck->ck", found.weights, found.means) / size[:, None]
    apart = found.means - centre
    inside = torch.einsum("nc,nca->ca", found.weights, found.variances)
    scatter = torch.einsum("nc,nci,ncj->cij", found.weights, apart, apart)
    scatter += torch.einsum("cia,ca,cja->cij", axes["root"], inside, axes["root"])
    improved, member, objective = mixture.improved(z, molecules, information)
    assert objective == pytest.approx(float(found.log_evidence.mean()))
    expected = Mixture.of(size, centre, scatter)
    torch.testing.assert_close(member, found.weights)
    torch.testing.assert_close(improved.weights, expected.weights)
    torch.testing.assert_close(improved.centre, expected.centre)
    torch.testing.assert_close(improved.covariance, expected.covariance)


def test_standardised_codes_have_mean_zero_and_covariance_one():
    z = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).double() @ torch.diag(
        torch.tensor([3.0, 1, 0.5]).double()
    )
    mixture, _ = Mixture.clusters(z + 5.0, most=3)
    mean, root, back = mixture.standard()
    found_mean, found = mixture.moved(mean, back).moments()
    torch.testing.assert_close(found_mean, torch.zeros(3).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(found, torch.eye(3).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(root @ back, torch.eye(3).double())


def test_fewer_directions_of_a_mixture_are_its_marginal():
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(400, 4, generator=generator).double()
    z[:150] += 3.0
    mixture, _ = Mixture.clusters(z, most=3)
    axes = torch.linalg.qr(torch.randn(4, 2, generator=generator).double()).Q
    mean, covariance = mixture.moments()
    found_mean, found = mixture.along(axes).moments()
    torch.testing.assert_close(found_mean, mean @ axes)
    torch.testing.assert_close(found, axes.T @ covariance @ axes)


@pytest.mark.trains
def test_directions_that_fit_noise_are_dropped():
    """The simulation has nine; of the fourteen of the network five would add variance to weak components."""
    adata = scif.datasets.simulate_counts(1500, 600, depth=8000.0, seed=11)
    model = _fit(adata, n_latent=14)
    assert model.module.fitted.prior.loadings.weight.shape[1] == 9


@pytest.mark.trains
@pytest.mark.parametrize(("cells", "genes", "depth"), [(100, 2000, 300.0), (60, 3000, 2000.0)])
def test_noise_of_many_genes_is_not_what_few_cells_share(cells, genes, depth):
    """Of cells that differ in depth alone a prior would tell that they differ, and transport would show it."""
    rng = np.random.default_rng(1)
    rates = rng.gamma(0.5, 1.0, genes)
    counts = rng.poisson(np.outer(depth * rng.lognormal(0.0, 0.3, cells), rates / rates.sum()))
    model = _fit(ad.AnnData(sparse.csr_matrix(counts[:, counts.any(0)], dtype=np.float32)))
    assert model.module.fitted.prior is None
    assert "not fitted" in model.fit_report_["latent_prior"].decision
    assert np.isfinite(model.get_denoised(estimator="transport")).all()


@pytest.mark.trains
def test_few_cells_of_many_kinds_have_no_more_directions_than_they_can_show():
    """Noise of thousands of genes makes directions that a hundred cells do not have look well known."""
    adata = scif.datasets.simulate_counts(80, 6000, depth=4000.0, n_types=16, seed=3)
    split = split_counts(adata.X, 0.9, seed=5)
    adata.X = split.train
    loss = {"pooled": poisson_nll(pooled_profile(split.train), split.test, scale=split.scale)}
    for weight in (0.0, 1.0):
        model = _fit(adata, n_latent=16, consistency_weight=weight)
        loss[weight] = poisson_nll(model.get_denoised(), split.test, scale=split.scale)
    assert 1 <= model.module.fitted.prior.loadings.weight.shape[1] <= 80 // 20
    assert loss[1.0] < loss[0.0] + 1e-3 * (loss["pooled"] - loss[0.0]), loss


@pytest.mark.trains
def test_transport_keeps_the_variance_of_every_direction_of_the_truth(simulation):
    """All nine directions that the simulation has, within a tenth; the posterior mean loses some of each."""
    adata, model = simulation
    truth = np.asarray(adata.layers["truth"])

    def logs(x: np.ndarray) -> np.ndarray:
        y = np.log1p(x / x.sum(1, keepdims=True) * 1e4)
        return y - y.mean(0)

    axes = np.linalg.svd(logs(truth), full_matrices=False)[2][:9]
    true = (logs(truth) @ axes.T).var(0)
    ratio = {kind: (logs(model.get_denoised(estimator=kind)) @ axes.T).var(0) / true for kind in ("mean", "transport")}
    assert (abs(ratio["transport"] - 1) < 0.1).all(), ratio
    assert (ratio["mean"] < ratio["transport"]).all(), ratio


@pytest.mark.trains
def test_consistency_predicts_held_out_molecules_better_than_the_anchor_alone():
    adata = scif.datasets.pbmc68k_counts()
    split = split_counts(adata.X, 0.9, seed=5)
    seen = adata.copy()
    seen.X = split.train
    loss = {}
    for weight in (0.0, 1.0):
        mean = _fit(seen, consistency_weight=weight).get_denoised()
        loss[weight] = poisson_nll(mean, split.test, scale=split.scale)
    assert loss[1.0] < loss[0.0] - 5e-5, loss


@pytest.mark.trains
def test_share_of_the_prior_follows_the_weights(simulation):
    _, model = simulation
    assert model.module.fitted.prior_share == pytest.approx(0.5)
    adata = scif.datasets.simulate_counts(120, 60, seed=0)
    assert _fit(adata, max_epochs=2, consistency_weight=0.0).module.fitted.prior is None
    assert _fit(adata, max_epochs=2, consistency_weight=3.0).module.fitted.prior_share == pytest.approx(0.75)
    published = _fit(adata, max_epochs=2, anchor_weight=0.0, consistency_weight=1.0)
    assert published.module.fitted.prior is None
    assert published.fit_report_.consistency == "gradient"


def test_steps_of_the_consistency_term_train_it_by_gradients():
    model = _fit(scif.datasets.simulate_counts(120, 60, seed=0), max_epochs=2, consistency="gradient", num_steps=4)
    assert {"train_anchor", "train_icm"} <= set(model.history)
    assert model.module.fitted.prior is None


@pytest.mark.trains
def test_training_on_forgets_the_prior_until_it_ends(monkeypatch):
    """It belongs to the network that it was fitted to."""
    adata = scif.datasets.simulate_counts(120, 60, seed=0)
    model = _fit(adata, max_epochs=2)
    first = model.module.fitted.prior.loadings.weight.clone()
    seen = []
    start = plan.CountPlan.on_train_epoch_start

    def watched(self) -> None:
        seen.append(self.model.fitted.prior)
        start(self)

    monkeypatch.setattr(plan.CountPlan, "on_train_epoch_start", watched)
    model.train(max_epochs=2, enable_progress_bar=False)
    assert seen == [None] * 2
    assert not torch.equal(first, model.module.fitted.prior.loadings.weight)


@pytest.mark.trains
def test_shuffled_genes_stay_uncorrelated_with_the_prior_too():
    adata = scif.datasets.simulate_counts(800, 300, depth=1500.0, seed=2)
    common = np.flatnonzero(adata.X.getnnz(0) >= 0.2 * adata.n_obs)
    genes = np.random.default_rng(1).choice(common, 10, replace=False)
    adata.X = permute_genes(adata.X, genes, seed=0)
    observed, ours = (scif.metrics.mean_absolute_correlation(x, genes) for x in (adata.X, _fit(adata).get_denoised()))
    assert ours < observed + 0.02, (observed, ours)


@pytest.mark.trains
def test_batches_differ_by_their_offsets_alone():
    """A cell expressed as another batch keeps its code: transport is moved by the batches' offsets."""
    adata = scif.datasets.simulate_counts(400, 150, n_batches=2, depth=1500.0, seed=4)
    ICM.setup_anndata(adata, batch_key="batch")
    model = ICM(adata)
    model.train(max_epochs=6, enable_progress_bar=False)
    names = list(adata.obs["batch"].cat.categories)
    for kind in ("mean", "transport"):
        as_first, as_second = (model.get_denoised(estimator=kind, transform_batch=name) for name in names)
        own = model.get_denoised(estimator=kind)
        first = np.asarray(adata.obs["batch"] == names[0])
        np.testing.assert_allclose(as_first[first], own[first], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(as_second[~first], own[~first], rtol=1e-3, atol=1e-3)
        assert np.abs(as_first - as_second).max() > 0.1
