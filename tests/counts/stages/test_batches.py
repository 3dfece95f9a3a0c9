"""Laws of batches: offsets are those of the simulation, and values are no worse for the key."""

from __future__ import annotations

import warnings
from functools import cache

import anndata as ad
import numpy as np
import pytest
import torch
from scipy import sparse

import scif
from scif.counts.data.offsets import without_offsets
from scif.counts.stages.batches import BatchOffsets, fit_batches, reference_profile, start_rows
from scif.model import ICM

GENES = 150


@cache
def _simulated(
    cells: int, batches: int, effect: float, seed: int, equal: bool = True, apart: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts, their expectations, batches, types, and the true offsets ``(batches, genes)``."""
    rng = np.random.default_rng(seed)
    types = rng.normal(size=(4, GENES)) * (rng.random((4, GENES)) < 0.4)
    offset = rng.normal(0.0, effect, (batches, GENES))
    batch = rng.integers(batches, size=cells)
    shares = np.full((batches, 4), 0.25) if equal else rng.dirichlet(np.full(4, 2.0), batches).clip(0.05)
    if apart:
        shares = (np.arange(4) // 2 == np.arange(batches)[:, None]).astype(float)
    shares /= shares.sum(1, keepdims=True)
    kind = (rng.random(cells)[:, None] > shares.cumsum(1)[batch]).sum(1).clip(0, 3)
    logits = rng.normal(0.0, 1.0, GENES) + types[kind] + offset[batch]
    logits += 0.3 * rng.normal(size=(cells, 1)) * rng.normal(size=GENES) * (rng.random(GENES) < 0.2)
    rates = np.exp(logits)
    truth = rng.lognormal(6.5, 0.3, cells)[:, None] * rates / rates.sum(1, keepdims=True)
    return rng.poisson(truth).astype(np.float32), truth, batch, kind, offset


def _fitted(counts: np.ndarray, batch: np.ndarray, batches: int) -> BatchOffsets:
    return fit_batches(sparse.csr_matrix(counts), batch, num_batches=batches, rng=np.random.default_rng(0))


def _slopes(found: np.ndarray, true: np.ndarray, weight: np.ndarray) -> list[float]:
    """Slope of found on true differences of each two batches."""
    slopes = []
    for i in range(len(true)):
        for j in range(i):
            x, y = true[i] - true[j], found[i] - found[j]
            x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
            slopes.append(float((weight * x * y).sum() / (weight * x * x).sum()))
    return slopes


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize(("batches", "effect"), [(2, 0.1), (2, 0.8), (3, 0.4), (6, 0.8)])
def test_offsets_are_those_of_the_simulation(batches, effect, equal):
    counts, _, batch, _, offset = _simulated(900, batches, effect, 3, equal)
    found = _fitted(counts, batch, batches)
    slopes = _slopes(found.offset, offset, counts.mean(0))
    assert min(slopes) > 0.88, slopes
    assert max(slopes) < 1.12, slopes
    assert (found.shared > 0.6).all()


def test_batches_without_effect_have_no_offsets():
    counts, _, batch, _, _ = _simulated(900, 3, 0.0, 4)
    assert np.sqrt(np.average(_fitted(counts, batch, 3).offset ** 2, weights=counts.mean(0), axis=1)).max() < 0.03


def test_batches_with_other_cell_types_are_named():
    counts, _, batch, _, _ = _simulated(900, 2, 0.4, 1, apart=True)
    with pytest.warns(UserWarning, match="'left', 'right' share few or no cell types"):
        _fitted(counts, batch, 2).warn(["left", "right"])
    counts, _, batch, _, _ = _simulated(900, 2, 0.4, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        _fitted(counts, batch, 2).warn(["left", "right"])


def test_batch_without_cells_has_no_offset_and_changes_nothing():
    counts, _, batch, _, _ = _simulated(900, 2, 0.4, 1)
    two, three = _fitted(counts, batch, 2), _fitted(counts, batch * 2, 3)
    assert three.present.tolist() == [True, False, True]
    assert not three.offset[1].any()
    np.testing.assert_allclose(three.offset[[0, 2]], two.offset, atol=1e-6)


def test_offsets_are_taken_off_and_sums_stay():
    counts, _, batch, _, offset = _simulated(900, 2, 0.4, 1)
    x = sparse.csr_matrix(counts)
    out = without_offsets(x, batch, offset)
    np.testing.assert_allclose(out.sum(1), x.sum(1), rtol=1e-5)
    expected = counts * np.exp(-offset[batch])
    np.testing.assert_allclose(out.toarray(), expected * (counts.sum(1) / expected.sum(1))[:, None], rtol=1e-4)


def test_average_profile_gives_the_totals_back():
    rng = np.random.default_rng(0)
    profile, offset = rng.dirichlet(np.ones(30)), rng.normal(size=(3, 30))
    shares = profile * np.exp(offset)
    totals = np.array([[100.0], [300.0], [50.0]]) * shares / shares.sum(1, keepdims=True)
    np.testing.assert_allclose(reference_profile(totals, offset, rounds=200), profile, rtol=1e-3)


def test_rare_batches_are_among_the_cells_of_the_start():
    batch = np.zeros(5000, dtype=int)
    batch[:40] = 1
    rows = start_rows(np.random.default_rng(0).permutation(5000), 1000, batch)
    assert (batch[rows] == 1).sum() == 40
    assert len(np.unique(rows)) == len(rows) <= 1340


def _trained(counts: np.ndarray, batch: np.ndarray, key: str | None, *, epochs: int | None = None) -> ICM:
    adata = ad.AnnData(sparse.csr_matrix(counts))
    adata.obs["batch"] = np.array([f"b{code}" for code in batch])
    adata.obs["batch"] = adata.obs["batch"].astype("category").cat.add_categories("nobody")
    ICM.setup_anndata(adata, batch_key=key)
    model = ICM(adata)
    model.train(max_epochs=epochs, enable_progress_bar=False)
    return model


@pytest.mark.trains
@pytest.mark.parametrize(("batches", "effect", "equal", "seed"), [(2, 0.2, True, 0), (4, 0.8, False, 1)])
def test_values_are_no_worse_for_the_key_and_batches_keep_their_means(batches, effect, equal, seed):
    counts, truth, batch, _, offset = _simulated(600, batches, effect, seed, equal)
    model = _trained(counts, batch, "batch")
    with_key, without = model.get_denoised(), _trained(counts, batch, None).get_denoised()

    def error(value: np.ndarray) -> float:
        return float(np.sqrt(np.mean((np.log(value + 0.01) - np.log(truth + 0.01)) ** 2)))

    def shares(value: np.ndarray) -> np.ndarray:
        sums = np.stack([value[batch == b].sum(0) for b in range(batches)])
        return np.log((sums + 0.5) / sums.sum(1, keepdims=True))

    assert error(with_key) < 1.05 * error(without)
    own = _slopes(shares(with_key), shares(truth), counts.mean(0))
    assert all(0.9 < slope < 1.1 for slope in own), own
    everyone = [np.log(model.get_denoised(transform_batch=f"b{b}")) - np.log(with_key) for b in range(batches)]
    shift = np.stack([change[batch == 0].mean(0) for change in everyone])
    moved = _slopes(shift, offset, counts.mean(0))
    assert all(0.85 < slope < 1.1 for slope in moved), moved


@pytest.mark.trains
def test_targets_are_names_lists_and_the_average():
    counts, _, batch, _, _ = _simulated(300, 3, 0.4, 0)
    model = _trained(counts, batch, "batch", epochs=2)
    offset = model.module.network.batch_offset
    assert offset is not None
    assert offset[:3].abs().max() > 0.2  # batches are wired in
    assert not offset[3:].any()
    b0, b1 = (model.get_denoised(transform_batch=name) for name in ("b0", "b1"))
    np.testing.assert_allclose(model.get_denoised(transform_batch=["b0", "b1"]), (b0 + b1) / 2, rtol=1e-5)
    average = model.get_denoised(transform_batch="average")
    np.testing.assert_allclose(average.sum(1), counts.sum(1), rtol=1e-4)
    inside = np.abs(np.log(average / model.get_denoised()).mean(0))
    assert inside.mean() < np.abs(np.log(b0 / model.get_denoised())[batch == 1].mean(0)).mean()
    for name in ("nobody", ["b0", "nobody"]):
        with pytest.raises(ValueError, match="No training cell is in 'nobody'"):
            model.get_denoised(transform_batch=name)
    rows = np.flatnonzero(batch == 1)
    fresh = ad.AnnData(sparse.csr_matrix(counts[rows]))
    fresh.obs["batch"] = "b1"
    np.testing.assert_allclose(model.get_denoised(fresh), model.get_denoised()[rows], rtol=1e-4, atol=1e-5)
    fresh.obs["batch"] = "nobody"
    with pytest.raises(ValueError, match="batches the model has not seen: 'nobody'"):
        model.get_denoised(fresh)


@pytest.mark.trains
def test_latent_factors_know_little_of_the_batch():
    counts, _, batch, _, _ = _simulated(600, 2, 0.8, 0)
    x, codes = torch.from_numpy(counts), torch.from_numpy(batch)

    def between(key: str | None) -> float:
        """Squared distance of the batches' mean scores, in standard deviations."""
        network = _trained(counts, batch, key, epochs=2).module.network
        scores = network.scores(x, x.sum(1), batch=codes).numpy()
        return float(np.square(scores[batch == 0].mean(0) - scores[batch == 1].mean(0)).sum())

    with_key, without = between("batch"), between(None)
    assert with_key < 0.75 * without, (with_key, without)


@pytest.mark.parametrize("key", ["categorical_covariate_keys", "continuous_covariate_keys"])
def test_covariates_are_refused_with_what_to_do(key):
    adata = scif.datasets.simulate_counts(20, 10, seed=0)
    with pytest.raises(ValueError, match=f"{key}.*batch_key="):
        ICM.setup_anndata(adata, **{key: ["library_size"]})
