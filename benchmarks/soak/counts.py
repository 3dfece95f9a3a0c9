"""Random valid calls of the count model, and what must hold of their results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from scipy import sparse

import scif
from scif.model import ICM

__all__ = ["CALLS", "counts_round"]

#: Layouts and types of counts.
LAYOUTS = (sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray)
TYPES = ("int32", "int64", "uint16", "float32", "float64")
#: Calls of a round, of which some are made in random order.
CALLS = (
    "denoise",
    "subset",
    "new cells",
    "files",
    "save",
    "latent",
    "uncertain",
    "batches",
    "predictive",
    "structure",
    "refit",
    "again",
    "split",
)


def _data(rng: np.random.Generator, folder: Path) -> tuple[ad.AnnData, dict[str, Any]]:
    """Counts somewhere, in some layout, and the arguments of setup."""
    cells, genes, batches = int(rng.integers(2, 260)), int(rng.integers(2, 130)), int(rng.integers(1, 4))
    data = scif.datasets.simulate_counts(
        cells, genes, n_batches=batches, depth=float(rng.uniform(20, 3000)), seed=int(rng.integers(1000)), truth=False
    )
    data = data[np.asarray(data.X.sum(1)).ravel() > 0].copy()
    dense = data.X.toarray().clip(0, 65535).astype(rng.choice(TYPES))
    data.X = LAYOUTS[int(rng.integers(len(LAYOUTS)))](dense)
    setup: dict[str, Any] = {}
    if rng.random() < 0.3:
        data.layers["counts"] = data.X
        data.X = np.log1p(dense.astype("float32"))
        setup["layer"] = "counts"
    if batches > 1 and rng.random() < 0.6:
        setup["batch_key"] = "batch"
    if rng.random() < 0.3:
        data.obs["factor"] = dense.sum(1) * rng.uniform(0.5, 2.0, len(dense))
        setup["size_factor_key"] = "factor"
    where = rng.choice(["memory", "memory", "backed", "lazy", "view"])
    if where in ("backed", "lazy"):
        path = folder / "counts.h5ad"
        data.write_h5ad(path)
        data = ad.read_h5ad(path, backed="r") if where == "backed" else ad.experimental.read_lazy(path)
    elif where == "view":
        data = data[rng.random(data.n_obs) < 2]
    return data, setup


def _options(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the model and of training."""
    model: dict[str, Any] = {"noise": str(rng.choice(["nb", "poisson"])), "seed": int(rng.integers(100))}
    train: dict[str, Any] = {"max_epochs": int(rng.integers(1, 3)), "enable_progress_bar": False}
    for chosen, some in (
        (model, {"n_latent": int(rng.integers(1, 8)), "n_hidden": 32, "residual": False, "start": "pooled"}),
        (model, {"dropout_rate": 0.1}),
        (train, {"early_stopping": False, "batch_size": int(rng.integers(1, 300)), "num_steps": 3, "held_out": 0.1}),
        (train, {"consistency": str(rng.choice(["em", "gradient", "both", "none"])), "anchor_weight": 0.5}),
    ):
        chosen.update({name: value for name, value in some.items() if rng.random() < 0.3})
    if train.get("consistency") not in ("gradient", "both"):
        train.pop("num_steps", None)  # of the gradient term alone
    return model, train


def _matrix(data: ad.AnnData, setup: dict[str, Any]) -> np.ndarray:
    x = data.X if "layer" not in setup else data.layers["counts"]
    x = x.compute() if hasattr(x, "compute") else x[:]
    return np.asarray(x.toarray() if sparse.issparse(x) else x, dtype=np.float64)


def _good(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Values of this shape, finite and not negative."""
    values = np.asarray(values)
    assert values.shape == shape, (values.shape, shape)
    assert np.isfinite(values).all(), "not finite"
    assert (values >= 0).all(), "negative"
    return values


def _near(a: Any, b: Any, rtol: float = 2e-3, atol: float = 1e-4) -> None:
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def counts_round(rng: np.random.Generator, folder: Path, done: dict[str, int]) -> None:
    """Set up and train one model, and call some of its methods."""
    data, setup = _data(rng, folder)
    before = _matrix(data, setup)
    ICM.setup_anndata(data, **setup)
    options, training = _options(rng)
    model = ICM(data, **options)
    model.train(**training)
    done["train"] = done.get("train", 0) + 1
    whole = model.get_denoised()
    for call in rng.permutation(CALLS)[: int(rng.integers(3, len(CALLS)))]:
        _call(str(call), rng, folder, model, data, setup, before, whole)
        done[str(call)] = done.get(str(call), 0) + 1
    np.testing.assert_array_equal(_matrix(data, setup), before)  # the caller's counts are as they were
    _forget(model)
    if data.isbacked:
        data.file.close()


def _forget(model: ICM) -> None:
    """Give up what scvi-tools keeps of a model's counts, for as long as the process lives."""
    ICM.register_manager(model.adata_manager)  # another model of the same counts may have been given up before
    model.deregister_manager(model.adata)


def _call(
    call: str,
    rng: np.random.Generator,
    folder: Path,
    model: ICM,
    data: ad.AnnData,
    setup: dict[str, Any],
    x: np.ndarray,
    whole: np.ndarray,
) -> None:
    cells, genes = x.shape
    kind = str(rng.choice(["mean", "transport"]))
    rows = rng.integers(0, cells, int(rng.integers(0, cells + 1)))
    columns = rng.permutation(genes)[: int(rng.integers(1, genes + 1))]
    names = [str(name) for name in data.var_names[columns]]
    if call == "denoise":
        observed = model.get_denoised(library_size="observed", estimator=kind)
        _near(_good(observed, x.shape).sum(1), x.sum(1))
        _near(_good(model.get_denoised(library_size=100.0, dtype="float64"), x.shape).sum(1), 100.0)
        if "size_factor_key" not in setup:
            _near(whole.sum(1), x.sum(1))
    elif call == "subset":
        part = _good(model.get_denoised(indices=rows, gene_list=names), (len(rows), len(names)))
        _near(part, whole[rows][:, columns])
        mask = rng.random(cells) < 0.5
        _near(model.get_denoised(indices=mask, return_numpy=False).to_numpy(), whole[mask])
    elif call == "new cells":
        new = ad.AnnData(x.copy(), obs=data.obs.copy(), var=data.var[[]].copy())
        if "layer" in setup:
            new.layers["counts"] = x.copy()
        chosen = new[rng.permutation(cells), rng.permutation(genes)]
        place = [list(data.obs_names).index(name) for name in chosen.obs_names]
        order = [list(data.var_names).index(name) for name in chosen.var_names]
        _near(model.get_denoised(chosen), whole[place][:, order])
    elif call == "files":
        path = folder / f"denoised{rng.choice(['.h5ad', '.zarr'])}"
        threshold = 0.01 if rng.random() < 0.5 else None
        model.denoise_to(path, threshold=threshold, overwrite=True, silent=True)
        found = (ad.read_h5ad if path.suffix == ".h5ad" else ad.read_zarr)(path).layers["denoised"]
        found = found.toarray() if sparse.issparse(found) else found
        _near(found, whole if threshold is None else np.where(whole >= threshold, whole, 0.0), atol=0.011)
    elif call == "save":
        model.save(folder / "model", overwrite=True)
        again = ICM.load(folder / "model", adata=data)
        np.testing.assert_array_equal(again.get_denoised(), whole)
        _forget(again)
    elif call == "latent":
        assert np.isfinite(model.get_latent_representation(indices=rows)).all()
        assert np.isfinite(model.get_loadings().to_numpy()).all()
        _good(model.get_cell_scale(indices=rows), (len(rows),))
    elif call == "uncertain":
        _good(model.get_denoised(indices=rows, return_std=True), (2, len(rows), genes))
        low, high = _good(model.get_denoised(quantiles=(0.1, 0.9)), (2, cells, genes))
        assert (low <= high).all()
        draws = [model.get_denoised(estimator="sample", n_samples=2, return_mean=False, seed=1) for _ in range(2)]
        np.testing.assert_array_equal(_good(draws[0], (2, cells, genes)), draws[1])
    elif call == "batches":
        names = [str(name) for name in data.obs["batch"].unique()] if "batch_key" in setup else ["average"]
        target: Any = names if rng.random() < 0.5 else names[0]
        moved = _good(model.get_denoised(transform_batch="average" if names == ["average"] else target), x.shape)
        _near(moved.sum(1), whole.sum(1))
    elif call == "predictive":
        drawn = _good(model.posterior_predictive_sample(indices=rows, n_samples=2, seed=3), (2, len(rows), genes))
        assert (drawn == np.round(drawn)).all()
    elif call == "structure":
        try:
            found = model.get_feature_correlation_matrix(names).to_numpy()
        except ValueError as error:  # documented: of few cells, or without the stage
            assert "no distribution of the latent factors" in str(error)
            return
        assert np.isfinite(found).all() and (np.abs(found) <= 1 + 1e-5).all()
        _near(found, found.T)
    elif call == "refit":
        model.refit(str(rng.choice([stage.stage for stage in model.fit_report_.stages if stage.stage in REFIT])))
        whole[:] = _good(model.get_denoised(), x.shape)
    elif call == "again":
        model.train(max_epochs=1, enable_progress_bar=False)
        whole[:] = _good(model.get_denoised(), x.shape)
    elif call == "split":
        split = scif.metrics.split_counts(x.round(), 0.8, seed=int(rng.integers(9)))
        np.testing.assert_array_equal((split.train + split.test).toarray(), x.round())
        assert np.isfinite(scif.metrics.poisson_nll(whole, split.test))


#: Stages that can be run again alone.
REFIT = ("shared_genes", "loadings", "latent_prior", "dispersion", "cell_scale", "gene_totals", "uncertainty")
