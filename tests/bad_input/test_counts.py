"""Bad input to the count method and its model: what is given, what is said, and that nothing of the caller changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scif
from scif import modelfile
from scif.counts import fit_counts
from scif.model import ICM
from scif.modelfile import ModelFileError


def counts(cells: int = 40, genes: int = 12) -> np.ndarray:
    return np.random.default_rng(0).poisson(3.0, (cells, genes)).astype(np.float32) + np.eye(
        cells, genes, dtype=np.float32
    )


def data(x: Any = None, **obs: Any) -> ad.AnnData:
    x = counts() if x is None else x
    adata = ad.AnnData(x)
    adata.obs_names = [f"cell_{i}" for i in range(adata.n_obs)]
    adata.var_names = [f"gene_{i}" for i in range(adata.n_vars)]
    for name, values in obs.items():
        adata.obs[name] = values
    return adata


def spread() -> np.ndarray:
    """Counts of many means, of 300 cells that differ."""
    return scif.datasets.simulate_counts(300, 100, seed=0, truth=False).X.toarray().astype(float)


def changed(value: float, at: tuple[int, int] = (3, 4)) -> np.ndarray:
    x = counts()
    x[at] = value
    return x


def logged(scale: float = 1e4, *, digits: int | None = None) -> np.ndarray:
    x = np.random.default_rng(0).negative_binomial(0.5, 0.2, (80, 60)) + np.eye(80, 60)
    y = np.log1p(x / x.sum(1, keepdims=True) * scale)
    return y if digits is None else np.round(y, digits)


SETUP: list[tuple[str, Callable[[], Any], dict[str, Any], type[Exception], str]] = [
    ("no AnnData", lambda: counts(), {}, TypeError, "AnnData"),
    ("a path", lambda: "counts.h5ad", {}, TypeError, "AnnData"),
    ("a data frame", lambda: pd.DataFrame(counts()), {}, TypeError, "AnnData"),
    ("no cells", lambda: data(counts()[:0]), {}, ValueError, "0 cells"),
    ("no genes", lambda: data(counts()[:, :0]), {}, ValueError, "0 genes"),
    ("negative", lambda: data(changed(-1.0)), {}, ValueError, "-1"),
    ("negative, sparse", lambda: data(sparse.csr_matrix(changed(-1.0))), {}, ValueError, "-1"),
    ("not a number", lambda: data(changed(np.nan)), {}, ValueError, "nan"),
    ("infinite", lambda: data(changed(np.inf)), {}, ValueError, "inf"),
    ("minus infinite", lambda: data(changed(-np.inf)), {}, ValueError, "inf"),
    ("an empty cell", lambda: data(counts() * (np.arange(40) != 7)[:, None]), {}, ValueError, "cell_7"),
    (
        "empty cells, sparse",
        lambda: data(sparse.csr_matrix((40, 12), dtype=np.float32)),
        {},
        ValueError,
        "filter_cells",
    ),
    ("complex", lambda: data(counts().astype(complex)), {}, ValueError, "complex"),
    (
        "no X",
        lambda: ad.AnnData(obs=pd.DataFrame(index=list("ab")), var=pd.DataFrame(index=list("cd"))),
        {},
        ValueError,
        "X",
    ),
    ("log1p", lambda: data(logged()), {}, ValueError, "log"),
    ("log1p per million", lambda: data(logged(1e6)), {}, ValueError, "log"),
    ("log1p, sparse", lambda: data(sparse.csr_matrix(logged())), {}, ValueError, "log"),
    ("square roots", lambda: data(np.sqrt(counts(60, 40))), {}, ValueError, "root"),
    (
        "per ten thousand",
        lambda: data(counts(60, 40) / counts(60, 40).sum(1, keepdims=True) * 1e4),
        {},
        ValueError,
        "sum",
    ),
    ("z-scores", lambda: data(np.random.default_rng(0).normal(size=(60, 40))), {}, ValueError, "negative|-"),
    ("no such layer", lambda: data(), {"layer": "raw"}, ValueError, "layer='raw'"),
    ("no such batch key", lambda: data(), {"batch_key": "lane"}, ValueError, "batch_key='lane'"),
    ("a missing batch", lambda: data(batch=[None] + ["a"] * 39), {"batch_key": "batch"}, ValueError, "cell_0"),
    ("no such size factors", lambda: data(), {"size_factor_key": "sf"}, ValueError, "size_factor_key='sf'"),
    ("size factors of text", lambda: data(sf=["a"] * 40), {"size_factor_key": "sf"}, ValueError, "sf"),
    ("a size factor of zero", lambda: data(sf=[0.0] + [1.0] * 39), {"size_factor_key": "sf"}, ValueError, "cell_0"),
    ("a negative size factor", lambda: data(sf=[-1.0] + [1.0] * 39), {"size_factor_key": "sf"}, ValueError, "cell_0"),
    (
        "a size factor that is no number",
        lambda: data(sf=[np.nan] + [1.0] * 39),
        {"size_factor_key": "sf"},
        ValueError,
        "cell_0",
    ),
    (
        "an infinite size factor",
        lambda: data(sf=[np.inf] + [1.0] * 39),
        {"size_factor_key": "sf"},
        ValueError,
        "cell_0",
    ),
    ("half precision", lambda: data(counts().astype(np.float16)), {}, ValueError, "float16"),
    ("rounded square roots", lambda: data(np.round(np.sqrt(spread()))), {}, ValueError, "transformed"),
    ("Anscombe's roots", lambda: data(2 * np.sqrt(spread() + 0.375)), {}, ValueError, "Anscombe's"),
    ("shares of the largest", lambda: data(counts(60, 40) / counts(60, 40).max(0)), {}, ValueError, "above 1"),
    (
        "rounded transcripts per million",
        lambda: data(np.round((y := spread() / np.linspace(0.3, 8, 100)) / y.sum(1, keepdims=True) * 1e6)),
        {},
        ValueError,
        "adds up to about 1e",
    ),
    (
        "a list of batch keys",
        lambda: data(batch=["a"] * 40),
        {"batch_key": ["batch"]},
        ValueError,
        r"batch_key is \['ba",
    ),
    ("a list of layers", lambda: data(), {"layer": ["counts"]}, ValueError, r"layer is \['counts'\]"),
    ("batches of text and numbers", lambda: data(batch=[1, "1"] * 20), {"batch_key": "batch"}, ValueError, "astype"),
    ("batches of dates", lambda: data(batch=pd.Timestamp("2026-01-01")), {"batch_key": "batch"}, ValueError, "astype"),
    ("batches of intervals", lambda: data(batch=pd.cut(range(40), 2)), {"batch_key": "batch"}, ValueError, "Interval"),
    ("complex size factors", lambda: data(sf=np.ones(40, complex)), {"size_factor_key": "sf"}, ValueError, "complex"),
    ("labels", lambda: data(batch=["a"] * 40), {"labels_key": "batch"}, ValueError, "labels_key='batch'"),
    ("an unknown argument", lambda: data(), {"batchkey": "batch"}, TypeError, "'batchkey'.*batch_key"),
    (
        "categorical covariates",
        lambda: data(batch=["a", "b"] * 20),
        {"categorical_covariate_keys": ["batch"]},
        ValueError,
        "batch_key",
    ),
    (
        "continuous covariates",
        lambda: data(age=np.arange(40.0)),
        {"continuous_covariate_keys": ["age"]},
        ValueError,
        "continuous",
    ),
]


@pytest.mark.parametrize(("make", "keys", "error", "says"), [row[1:] for row in SETUP], ids=[row[0] for row in SETUP])
def test_setup(make: Callable[[], Any], keys: dict[str, Any], error: type[Exception], says: str) -> None:
    given = make()
    before = given.copy() if isinstance(given, ad.AnnData) and given.X is not None else None
    with pytest.raises(error, match=says):
        ICM.setup_anndata(given, **keys)
    if before is not None:
        assert list(given.obs) == list(before.obs)
        assert set(given.uns) == set(before.uns)
        x, y = (np.asarray(part.X.todense() if sparse.issparse(part.X) else part.X) for part in (given, before))
        np.testing.assert_array_equal(x, y)


def test_repeated_gene_names_are_refused() -> None:
    adata = data()
    adata.var_names = ["gene"] * adata.n_vars
    with pytest.raises(ValueError, match="var_names_make_unique"):
        ICM.setup_anndata(adata)


def test_repeated_columns_are_refused() -> None:
    adata = data(batch=["a", "b"] * 20)
    adata.obs = pd.concat([adata.obs, adata.obs], axis=1)
    with pytest.raises(ValueError, match="several columns 'batch'"):
        ICM.setup_anndata(adata, batch_key="batch")


MODEL: list[tuple[str, dict[str, Any], str]] = [
    ("noise", {"noise": "gaussian"}, "noise is 'gaussian'"),
    ("noise of another kind", {"noise": 3}, "noise is 3"),
    ("a gain", {"noise": scif.core.noise.Poisson(gain=2.0)}, "gain 2"),
    ("no factors", {"n_latent": 0}, "n_latent is 0"),
    ("negative factors", {"n_latent": -2}, "n_latent is -2"),
    ("no hidden units", {"n_hidden": 0}, "n_hidden is 0"),
    ("dropout of one", {"dropout_rate": 1.0}, "dropout_rate is 1"),
    ("negative dropout", {"dropout_rate": -0.1}, "dropout_rate is -0.1"),
    ("start", {"start": "random"}, "start is 'random'"),
    ("half a factor", {"n_latent": 2.5}, "n_latent is 2.5"),
    ("factors as text", {"n_latent": "3"}, "n_latent is '3'"),
    ("hidden units as text", {"n_hidden": "256"}, "n_hidden is '256'"),
    ("a seed of text", {"seed": "one"}, "seed is 'one'"),
    ("a negative seed", {"seed": -1}, "seed is -1"),
    ("dropout as text", {"dropout_rate": "0.1"}, "dropout_rate is '0.1'"),
]


@pytest.fixture(scope="module")
def registered() -> ad.AnnData:
    adata = data(batch=["a", "b"] * 20)
    ICM.setup_anndata(adata, batch_key="batch")
    return adata


@pytest.mark.parametrize("given", [counts(), "counts.h5ad", pd.DataFrame(counts())], ids=["array", "path", "frame"])
def test_what_is_no_anndata(given: Any) -> None:
    with pytest.raises(TypeError, match="pass an AnnData or MuData"):
        ICM(given)


@pytest.mark.parametrize(("arguments", "says"), [row[1:] for row in MODEL], ids=[row[0] for row in MODEL])
def test_model(registered: ad.AnnData, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ICM(registered, **arguments)


TRAIN: list[tuple[str, dict[str, Any], str]] = [
    ("no epochs", {"max_epochs": 0}, "max_epochs is 0"),
    ("half an epoch", {"max_epochs": 1.5}, "max_epochs is 1.5"),
    ("negative epochs", {"max_epochs": -3}, "max_epochs is -3"),
    ("epochs of a truth value", {"max_epochs": True}, "max_epochs is True"),
    ("an empty batch", {"batch_size": 0}, "batch_size is 0"),
    ("half a cell", {"batch_size": 2.5}, "batch_size is 2.5"),
    ("a negative batch", {"batch_size": -8}, "batch_size is -8"),
    ("a negative anchor", {"anchor_weight": -1.0}, "anchor_weight is -1"),
    ("an anchor that is no number", {"anchor_weight": float("nan")}, "anchor_weight is nan"),
    ("negative consistency", {"consistency_weight": -1.0}, "consistency_weight is -1"),
    ("infinite consistency", {"consistency_weight": float("inf")}, "consistency_weight is inf"),
    ("no term", {"anchor_weight": 0.0, "consistency_weight": 0.0}, "both 0"),
    ("nothing to train", {"anchor_weight": 0.0, "consistency": "none"}, "nothing would be trained"),
    ("a mode", {"consistency": "always"}, "consistency is 'always'"),
    ("EM without an anchor", {"anchor_weight": 0.0, "consistency": "em"}, "needs the anchor"),
    ("steps without gradients", {"num_steps": 10}, "num_steps is 10"),
    ("no steps", {"num_steps": 0, "consistency": "gradient"}, "num_steps is 0"),
    ("nothing held out", {"held_out": 0.0}, "held_out is 0"),
    ("all held out", {"held_out": 1.0}, "held_out is 1"),
    ("a negative share", {"held_out": -0.1}, "held_out is -0.1"),
    ("more processes than cores", {"devices": 99, "accelerator": "cpu", "max_epochs": 1}, "devices is 99"),
    ("more processes, as text", {"devices": "99", "accelerator": "cpu", "max_epochs": 1}, "devices is '99'"),
    ("no process", {"devices": 0, "accelerator": "cpu", "max_epochs": 1}, "devices is 0"),
    ("half a process", {"devices": 1.5, "accelerator": "cpu", "max_epochs": 1}, "devices is 1.5"),
    ("a list of cores", {"devices": [0, 1], "accelerator": "cpu", "max_epochs": 1}, r"devices is \[0, 1\]"),
    ("nodes that wait for each other", {"num_nodes": 3, "max_epochs": 1}, "num_nodes is 3"),
    ("epochs that are no number", {"max_epochs": float("nan")}, "max_epochs is nan"),
    ("epochs without end", {"max_epochs": float("inf")}, "max_epochs is inf"),
    ("a batch of text", {"batch_size": "8"}, "batch_size is '8'"),
    ("a batch that is no number", {"batch_size": float("nan")}, "batch_size is nan"),
    ("a weight of text", {"anchor_weight": "1"}, "anchor_weight is '1'"),
    ("a share of text", {"held_out": "0.1"}, "held_out is '0.1'"),
    ("stopping by text", {"early_stopping": "no"}, "early_stopping is 'no'"),
    ("no step", {"max_epochs": 1, "max_steps": 0}, "max_steps"),
    ("an unknown constant", {"plan_kwargs": {"learning_rate": 1}}, "plan_kwargs is .* lr"),
    ("constants as a list", {"plan_kwargs": [1]}, "plan_kwargs is"),
    ("no folder", {"checkpoint_dir": "", "max_epochs": 1}, "checkpoint_dir is ''"),
    ("a file for a folder", {"checkpoint_dir": __file__, "max_epochs": 1}, "checkpoint_dir is .*, a file"),
]


@pytest.mark.parametrize(("arguments", "says"), [row[1:] for row in TRAIN], ids=[row[0] for row in TRAIN])
def test_train(registered: ad.AnnData, arguments: dict[str, Any], says: str) -> None:
    model = ICM(registered, n_latent=2)
    with pytest.raises(ValueError, match=says):
        model.train(**arguments, enable_progress_bar=False)
    assert not model.is_trained_


@pytest.fixture(scope="module")
def trained(registered: ad.AnnData) -> ICM:
    model = ICM(registered, n_latent=2)
    model.train(max_epochs=1, enable_progress_bar=False)
    return model


GET: list[tuple[str, dict[str, Any], str]] = [
    ("an estimator", {"estimator": "median"}, "estimator is 'median'"),
    ("a library size of zero", {"library_size": 0.0}, "library_size is 0"),
    ("a negative library size", {"library_size": -5.0}, "library_size is -5"),
    ("an infinite library size", {"library_size": float("inf")}, "library_size is inf"),
    ("a library size by name", {"library_size": "median"}, "library_size is 'median'"),
    ("an unknown batch", {"transform_batch": "c"}, "transform_batch='c'"),
    ("no batch", {"transform_batch": []}, r"transform_batch=\[\]"),
    ("a list with an unknown batch", {"transform_batch": ["a", "c"]}, "transform_batch="),
    ("no draws", {"estimator": "sample", "n_samples": 0}, "n_samples is 0"),
    ("draws of a mean", {"n_samples": 3}, "n_samples is 3"),
    ("an unknown gene", {"gene_list": ["gene_0", "TP53"]}, "TP53"),
    ("one gene as text", {"gene_list": "gene_0"}, "list of names"),
    ("a cell beyond the end", {"indices": [0, 40]}, "40"),
    ("a cell before the start", {"indices": [-41]}, "-41"),
    ("cells by name", {"indices": ["cell_0"]}, "indices has dtype"),
    ("half a cell", {"indices": [0.5]}, "indices has dtype"),
    ("a short mask", {"indices": np.ones(3, dtype=bool)}, "mask of shape"),
    ("two-dimensional cells", {"indices": np.zeros((2, 2), dtype=int)}, r"shape \(2, 2\)"),
    ("out of another shape", {"out": np.empty((3, 3))}, "out has shape"),
    ("out of whole numbers", {"out": np.zeros((40, 12), dtype=int)}, "out has dtype int64"),
    ("a sparse out", {"out": sparse.csr_matrix((40, 12))}, "out is a csr_matrix"),
    ("out as a list", {"out": [[0.0]]}, "out is a list"),
    ("a type of whole numbers", {"dtype": int}, "dtype is .*int"),
    ("a type that is none", {"dtype": "nonsense"}, "dtype is 'nonsense'"),
    ("no cells at a time", {"batch_size": 0}, "batch_size is 0"),
    ("fewer than no cells at a time", {"batch_size": -1}, "batch_size is -1"),
    ("half a cell at a time", {"batch_size": 1.5}, "batch_size is 1.5"),
    ("cells at a time as text", {"batch_size": "8"}, "batch_size is '8'"),
    ("half a draw", {"estimator": "sample", "n_samples": 1.5}, "n_samples is 1.5"),
    ("draws as text", {"estimator": "sample", "n_samples": "2"}, "n_samples is '2'"),
    ("a seed of text", {"estimator": "sample", "seed": "a"}, "seed is 'a'"),
    ("no seed", {"estimator": "sample", "seed": None}, "seed is None"),
    ("library sizes by cell", {"library_size": [1.0, 2.0]}, r"library_size is \[1.0, 2.0\]"),
    ("a library size of a truth value", {"library_size": True}, "library_size is True"),
    ("a library size beyond single precision", {"library_size": 1e300}, "library_size is 1e"),
    ("a batch that is no number", {"transform_batch": float("nan")}, "transform_batch=nan"),
    ("a gene by number", {"gene_list": 3}, "gene_list is the int 3"),
    ("genes without an order", {"gene_list": {"gene_0"}}, "gene_list is the set"),
    ("a quantile alone", {"quantiles": 0.5}, "quantiles is 0.5"),
    ("quantiles as text", {"quantiles": "0.5"}, "quantiles is '0.5'"),
    (
        "draws as a data frame",
        {"estimator": "sample", "n_samples": 2, "return_mean": False, "return_numpy": False},
        "return_numpy",
    ),
    ("out and a data frame", {"out": np.empty((40, 12)), "return_numpy": False}, "cannot be combined"),
]


@pytest.mark.trains
@pytest.mark.parametrize(("arguments", "says"), [row[1:] for row in GET], ids=[row[0] for row in GET])
def test_get_denoised(trained: ICM, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        trained.get_denoised(**arguments)


@pytest.mark.trains
def test_new_cells_that_do_not_fit(trained: ICM) -> None:
    fewer, more = data(counts(5, 11), batch=["a"] * 5), data(counts(5, 13), batch=["a"] * 5)
    unseen, bare = data(counts(5), batch=["c"] * 5), data(counts(5))
    for adata, says in ((fewer, "lacks 1"), (more, "1 genes the model was not trained on"), (unseen, "not seen")):
        with pytest.raises(ValueError, match=says):
            trained.get_denoised(adata)
    with pytest.raises(ValueError, match="batch_key='batch'"):
        trained.get_denoised(bare)
    with pytest.raises(ValueError, match="choose one of"):
        trained.refit("everything")


@pytest.mark.trains
def test_model_files(trained: ICM, tmp_path: Any) -> None:
    trained.save(tmp_path / "model")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        trained.save(tmp_path / "model")
    whole = (tmp_path / "model" / "model.scif").read_bytes()

    def refused(content: bytes | None, says: str, name: str = "model.scif") -> None:
        folder = tmp_path / "bad"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(ModelFileError, match=says):
            ICM.load(folder)

    refused(None, "has no model.scif")
    refused(b"anything", "pickle", name="model.pt")
    refused(b"", "no usable model file")
    refused(whole[: len(whole) // 2], "no usable model file")
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    refused(bytes(flipped), "no usable model file")
    refused(b"\x80\x04anything", "pickle")
    for prefix in ("../", "a/b"):
        with pytest.raises(ValueError, match="prefix is .* without a slash"):
            trained.save(tmp_path / "model", prefix=prefix, overwrite=True)
    for place in ("", None):
        with pytest.raises(ValueError, match="dir_path is"):
            trained.save(place, overwrite=True)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="adata is 'counts.h5ad'"):
        ICM.load(tmp_path / "model", adata="counts.h5ad")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="accelerator is 'gpu9'.*'cpu'"):
        ICM.load(tmp_path / "model", adata=False, accelerator="gpu9")
    with pytest.raises(ValueError, match="has batches the model has not seen: 'z'"):
        ICM.load(tmp_path / "model", adata=data(batch=["z"] * 40))
    again = ICM.load(tmp_path / "model", adata=trained.adata)
    np.testing.assert_array_equal(again.get_denoised(), trained.get_denoised())


@pytest.mark.trains
@pytest.mark.parametrize("change", ["registry", "settings", "genes", "not a number", "another shape", "another type"])
def test_files_whose_parts_do_not_fit_are_refused(trained: ICM, tmp_path: Any, change: str) -> None:
    """A file with a right checksum may come from anyone."""
    tensors, facts = trained._contents()
    if change in ("registry", "settings"):
        facts[change] = None
    elif change == "genes":
        facts["genes"] = ["gene_0"] * 12
    elif change == "not a number":
        tensors["network.depth"] = tensors["network.depth"] * float("nan")
    else:
        name = "fitted.dispersion.residual_shape"
        tensors[name] = tensors[name][:5] if change == "another shape" else tensors[name].double()
    (tmp_path / "bad").mkdir()
    modelfile.write(tmp_path / "bad" / "model.scif", kind="model.ICM", tensors=tensors, facts=facts)
    with pytest.raises(ModelFileError, match="no usable model file|do not fit together"):
        ICM.load(tmp_path / "bad", adata=False)


ARRAYS: list[tuple[str, dict[str, Any], str]] = [
    ("negative", {"x": changed(-1.0)}, "-1"),
    ("not a number", {"x": changed(np.nan)}, "nan"),
    ("an empty cell", {"x": counts() * (np.arange(40) != 7)[:, None]}, "7"),
    ("log1p", {"x": logged()}, "log"),
    ("short batches", {"x": counts(), "batch": ["a"] * 3}, "batch has 3"),
    ("short size factors", {"x": counts(), "size_factor": np.ones(3)}, "size_factor has 3"),
    ("a size factor of zero", {"x": counts(), "size_factor": np.zeros(40)}, "size_factor"),
    ("a mode", {"x": counts(), "consistency": "always"}, "consistency is 'always'"),
    ("no epochs", {"x": counts(), "max_epochs": 0}, "max_epochs is 0"),
]


@pytest.mark.parametrize(("arguments", "says"), [row[1:] for row in ARRAYS], ids=[row[0] for row in ARRAYS])
def test_fit_counts(arguments: dict[str, Any], says: str) -> None:
    before = arguments["x"].copy()
    with pytest.raises(ValueError, match=says):
        fit_counts(**arguments)
    np.testing.assert_array_equal(arguments["x"], before)
