"""A report on a trained model: what it does to molecules that it does not see, and to genes that share nothing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scif.core.noise import NegativeBinomial
from scif.metrics import molecular_cross_validation, permute_genes, pit_of_draws, predictive_coverage
from scif.model.record import record
from scif.report import count_report

if TYPE_CHECKING:
    from scif.metrics import CrossValidation
    from scif.model.icm import ICM
    from scif.report import CountReport

__all__ = ["ReportMixin"]

#: Inverse dispersion from which noise is Poisson.
POISSON = 1e6
#: Entries (draws x cells x genes) of predictive draws that are in memory together: 160 MB.
ENTRIES = 40_000_000
#: Name of the model in the table of held-out losses.
NAME = "scif ICM"


class ReportMixin:
    """Reports."""

    def report(
        self,
        *,
        clusters: str | Sequence[Any] | None = None,
        n_splits: int = 1,
        max_cells: int = 2000,
        shuffled: bool = True,
        n_draws: int = 20,
        n_changed: int = 20,
        seed: int = 0,
    ) -> CountReport:
        """Report how well the training cells were denoised.

        The report uses at most ``max_cells`` randomly drawn cells. Models with the same settings are trained on nine
        tenths of their molecules. Their loss on the last tenth is compared with no denoising, the pooled profile and a
        tuned SVD, and their predictive draws give the coverage. One more model is trained on shuffled genes, which must
        stay uncorrelated. With the default settings this takes about twice as long as training on ``max_cells`` cells.

        Parameters
        ----------
        clusters
            Column of ``obs``, or one label per cell. If given, the report includes the variance within clusters.
        n_splits
            Number of random splits of the molecules.
        max_cells
            Maximum number of cells in the report.
        shuffled
            Also train a model on shuffled genes.
        n_draws
            Number of predictive draws per cell.
        n_changed
            Number of most changed cells and genes to list.
        seed
            Seed of the cells, splits and draws.

        Returns
        -------
        A report with the methods ``findings()``, ``to_frame()`` and ``to_html(path)``.

        Raises
        ------
        ValueError
            If the model has no data, or ``clusters`` does not fit.

        Examples
        --------
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata)
        >>> model.train(max_epochs=1, enable_progress_bar=False)
        >>> report = model.report(clusters="cell_type", shuffled=False)
        >>> report.n_cells
        60
        """
        model = cast("ICM", self)
        data, dataset, every = model._cells(None, None)
        if max_cells < 4 or n_splits < 1 or n_draws < 1:
            msg = f"max_cells={max_cells}, n_splits={n_splits} or n_draws={n_draws} is below 4, 1 or 1; give more."
            raise ValueError(msg)
        labels = None if clusters is None else _labels(data, clusters)
        rows = np.sort(np.random.default_rng(seed).permutation(every)[:max_cells])
        cells = _apart(model, data, rows, dataset.counts(rows))
        trial = _Trial(model, n_draws=n_draws, seed=seed)
        held_out = _held_out(cells, trial, n_splits=n_splits, seed=seed)
        coverage = pit = None
        if held_out is not None and trial.pit is not None:
            pit, by_gene, by_cell = trial.pit, trial.expression, trial.depth
            coverage = predictive_coverage(pit, expression=by_gene, depth=by_cell)
        return count_report(
            cells.X,
            lambda some: model.get_denoised(indices=rows[some], gene_list=model.gene_names_),
            held_out=held_out,
            coverage=coverage,
            pit=pit,
            denoised_null=_shuffled(model, cells, seed) if shuffled else None,
            clusters=None if labels is None else labels[rows],
            collapse=_sentence(model.collapse_),
            cells=[str(name) for name in data.obs_names[rows]],
            genes=model.gene_names_,
            n_changed=n_changed,
            settings=record(model) | {"seconds of training": round(model.fit_report_.seconds, 1)},
        )


class _Trial:
    """Denoises training molecules with a model of the same settings, and keeps what predicts the others best."""

    def __init__(self, model: ICM, *, n_draws: int, seed: int) -> None:
        self.model, self.n_draws, self.seed = model, n_draws, seed
        self.whole: AnnData | None = None
        self.pit: np.ndarray | None = None
        self.expression: np.ndarray | None = None
        self.depth: np.ndarray | None = None

    def __call__(self, train: AnnData) -> np.ndarray:
        """Denoised training molecules; of the first split, the transform of the others, too."""
        trained = _same_settings(self.model, train)
        if self.pit is None and self.whole is not None and min(train.shape) >= 4:
            test = sparse.csr_matrix(self.whole[train.obs_names, train.var_names].X - train.X)
            self.pit = _transform(trained, train, test, n_draws=self.n_draws, seed=self.seed)
            self.expression = np.asarray(train.X.sum(0)).ravel()
            self.depth = np.asarray(train.X.sum(1)).ravel()
        found: np.ndarray = trained.get_denoised()
        trained.deregister_manager(train)  # scvi-tools would keep the counts
        return found


def _held_out(cells: AnnData, trial: _Trial, *, n_splits: int, seed: int) -> CrossValidation | None:
    if bool((cells.X.data != np.round(cells.X.data)).any()):
        warnings.warn(
            "counts are not whole numbers, so no molecules can be held out; the report has no losses and no coverage.",
            UserWarning,
            stacklevel=4,
        )
        return None
    trial.whole = cells
    return molecular_cross_validation(cells, {NAME: trial}, n_splits=n_splits, seed=seed)


def _transform(model: ICM, train: AnnData, test: sparse.csr_matrix, *, n_draws: int, seed: int) -> np.ndarray:
    """Transform of held-out counts by predictive draws, ``(cells, genes)``."""
    rng = np.random.default_rng([seed, 6])
    more, theta = float(test.sum() / train.X.sum()), model.inverse_dispersion.to_numpy(dtype=float)
    at_once = max(1, ENTRIES // (n_draws * train.n_vars))
    pit = np.empty(train.shape, dtype=np.float32)
    for start in range(0, train.n_obs, at_once):
        rows = np.arange(start, min(start + at_once, train.n_obs))
        rates = more * model.get_denoised(
            indices=rows, estimator="sample", n_samples=n_draws, return_mean=False, seed=seed + start
        )
        if theta.min() < POISSON:
            rates = rates * rng.gamma(theta, 1.0 / theta, rates.shape)
        pit[rows] = pit_of_draws(test[rows], rng.poisson(rates), seed=rng)
    return pit


def _shuffled(model: ICM, cells: AnnData, seed: int) -> np.ndarray | None:
    """Denoised counts of shuffled genes."""
    null = cells.copy()
    null.X = sparse.csr_matrix(permute_genes(cells.X, np.arange(cells.n_vars), seed=seed), dtype=np.float32)
    if bool((np.asarray(null.X.sum(1)) == 0).any()):
        warnings.warn(
            "some cells have no counts after shuffling; the report cannot check for invented correlations.",
            UserWarning,
            stacklevel=3,
        )
        return None
    trained = _same_settings(model, null)
    found: np.ndarray = trained.get_denoised()
    trained.deregister_manager(null)
    return found


def _same_settings(model: ICM, cells: AnnData) -> ICM:
    """A model with the settings of another, trained on other counts of its genes."""
    given, options = model.settings, model._options
    arguments = model.registry_["setup_args"]
    noise = given.noise
    if isinstance(noise, NegativeBinomial) and noise.inverse_dispersion.ndim:
        place = pd.Index(model.gene_names_).get_indexer(cells.var_names)
        noise = NegativeBinomial(noise.inverse_dispersion[place])
    with warnings.catch_warnings():  # what there is to say of the counts was said when the model was set up
        warnings.simplefilter("ignore")
        type(model).setup_anndata(
            cells, batch_key=arguments.get("batch_key"), size_factor_key=arguments.get("size_factor_key")
        )
        other = type(model)(
            cells,
            cast("Any", noise),
            n_latent=given.n_latent,
            n_hidden=given.n_hidden,
            dropout_rate=given.dropout_rate,
            residual=given.residual,
            start=given.start,
            seed=given.seed,
            config=given.config,
            encoder=given.encoder,
        )
        other.train(
            max_epochs=options.max_epochs,
            anchor_weight=options.anchor_weight,
            consistency=options.consistency,
            consistency_weight=options.consistency_weight,
            num_steps=options.num_steps,
            enable_progress_bar=False,
        )
    return other


def _apart(model: ICM, data: AnnData, rows: np.ndarray, counts: sparse.csr_matrix) -> AnnData:
    """Some cells on their own, with names that tell them apart, and with their batches and size factors."""
    arguments = model.registry_["setup_args"]
    keys = [key for key in (arguments.get("batch_key"), arguments.get("size_factor_key")) if key is not None]
    obs = data.obs[keys].iloc[rows].copy()
    obs.index = pd.Index([str(row) for row in rows])
    for key in keys:  # batches that none of the cells is in
        if isinstance(obs[key].dtype, pd.CategoricalDtype):
            obs[key] = obs[key].cat.remove_unused_categories()
    return AnnData(counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=model.gene_names_))


def _sentence(collapse: dict[str, Any] | None) -> str | None:
    """Message of the collapse monitor, with a capital."""
    return None if collapse is None else collapse["message"][:1].upper() + collapse["message"][1:]


def _labels(data: AnnData, clusters: str | Sequence[Any]) -> np.ndarray:
    if isinstance(clusters, str):
        if clusters not in data.obs:
            msg = f"clusters={clusters!r} is not in adata.obs, which has {list(data.obs)}."
            raise ValueError(msg)
        return data.obs[clusters].astype(str).to_numpy()
    labels = np.asarray(clusters)
    if labels.shape != (data.n_obs,):
        msg = f"clusters has shape {labels.shape}; pass one label for each of the {data.n_obs} cells."
        raise ValueError(msg)
    return labels
