"""Inverse consistency model for single-cell counts."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import CategoricalObsField
from scvi.model.base import BaseModelClass
from torch import Tensor

from scif.core.monitor import collapse
from scif.core.noise import NoiseModel
from scif.counts.config import CountConfig
from scif.counts.consistency import CountConsistency
from scif.counts.data.dataset import CountDataset
from scif.counts.encoder import EncoderFactory
from scif.counts.fit import Fit, fit_dataset, refit_dataset
from scif.counts.options import Consistency, FitOptions
from scif.counts.posterior.estimate import estimate
from scif.counts.report import FitReport
from scif.counts.settings import CountSettings
from scif.model.arguments import check_model, check_plan
from scif.model.checks import check_setup, refuse_covariates
from scif.model.controls import check_cells_beside_controls, control_remark, controls_of
from scif.model.feature_types import check_feature_types
from scif.model.fields import CountField, SizeFactorField
from scif.model.fingerprint import check_unchanged, keep_apart
from scif.model.getters import DenoiseMixin
from scif.model.lazy import load_tables
from scif.model.modality import registered_modality
from scif.model.registered import registered_counts
from scif.model.saving import SaveMixin
from scif.model.surface import SurfaceMixin
from scif.parallel import cores

__all__ = ["ICM"]


class ICM(SurfaceMixin, DenoiseMixin, SaveMixin, BaseModelClass):
    r"""Denoise single-cell counts with an inverse consistency model :cite:p:`zhang2025inverse`.

    The model learns expected counts from the noisy counts alone. A network starts from a truncated SVD and learns the
    variance that genes share: it predicts some molecules of a cell from the others (the anchor). Later stages fit the
    loadings, a prior of the latent factors, and the gene-specific variation; see :doc:`/method`.

    **Inverse consistency in this model.** Inverse consistency requires a prior of clean signals that reproduces the
    observed counts when it is passed through the noise channel. The estimate is the posterior mean under this prior. A
    default run does not train the published objective by gradients. It solves the same condition by EM on the latent
    factors (``consistency="em"``), and averages the result with the network's estimate. On 15 data sets, EM adds 0.2 to
    0.8% to the gain of the anchor in held-out likelihood. The gradient term adds at most 0.05%; both take 1.07 to 1.37
    times as long.

    Parameters
    ----------
    adata
        AnnData registered by :meth:`setup_anndata`, or MuData registered by :meth:`setup_mudata`.
    noise
        Measurement noise, given the expected counts. ``"poisson"``: only the sampling of molecules is noise; all other
        variation counts as biological and is kept. ``"nb"``: negative binomial; overdispersion of even the least
        variable genes between the most similar cells counts as technical and is also removed
        (:func:`~scif.counts.statistics.replicates.replicate_dispersion`). Or a :class:`~scif.core.noise.Poisson`,
        :class:`~scif.core.noise.Multinomial` or :class:`~scif.core.noise.NegativeBinomial` channel.
    n_latent
        Number of SVD components; by default chosen on held-out molecules when training starts.
    n_hidden
        Width of the hidden layers of the default encoder.
    dropout_rate
        Dropout rate of the default encoder.
    residual
        Include gene-specific variation in the estimates. If False, they contain only the shared variance.
    start
        Starting point of training: ``"svd"``, or ``"pooled"`` for the pooled profile.
    seed
        Seed of all random draws; the global random state is not used. On a CPU, results are identical for any number of
        threads; another machine may round differently.
    config
        Constants of the stages, for experts.
    encoder
        Function of the numbers of inputs (scores, time, depth) and outputs (latent factors) that returns your encoder.
    registry
        Registry of a saved model; passed by :meth:`load`.

    Examples
    --------
    >>> import scif
    >>> adata = scif.datasets.simulate_counts(100, 50, seed=0)
    >>> scif.model.ICM.setup_anndata(adata)
    >>> model = scif.model.ICM(adata)
    >>> model.train(max_epochs=2, enable_progress_bar=False)
    >>> adata.layers["denoised"] = model.get_denoised()
    >>> bool(abs(adata.layers["denoised"].sum(1) - adata.X.sum(1).A1).max() < 0.1)
    True
    """

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        noise: Literal["nb", "poisson"] | NoiseModel = "poisson",
        *,
        n_latent: int | None = None,
        n_hidden: int = 256,
        dropout_rate: float = 0.0,
        residual: bool = True,
        start: Literal["svd", "pooled"] = "svd",
        seed: int = 0,
        config: CountConfig | None = None,
        encoder: EncoderFactory | None = None,
        registry: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(registered_modality(adata), registry)
        check_model(noise, n_latent, start, n_hidden=n_hidden, dropout_rate=dropout_rate, seed=seed, encoder=encoder)
        config = CountConfig() if config is None else config
        self.settings = CountSettings(
            noise, n_latent, n_hidden, dropout_rate, residual, start=start, seed=seed, config=config, encoder=encoder
        )
        self.gene_names_ = [str(gene) for gene in self._registered_genes()]
        self.factor_unit_: float | None = None
        self.collapse_: dict[str, Any] | None = None
        self._fit: Fit | None = None
        self._options = FitOptions()
        self.module: CountConsistency = self.settings.build(
            len(self.gene_names_), num_batches=int(self.summary_stats.n_batch), width=n_latent
        )
        self._model_summary_string = (
            f"Inverse consistency model of counts: noise {noise if isinstance(noise, str) else type(noise).__name__}, "
            f"{'width by held-out molecules' if n_latent is None else f'n_latent {n_latent}'}, n_hidden {n_hidden}"
        )

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        batch_key: str | None = None,
        size_factor_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Register counts for the model. If the input is invalid, nothing is changed.

        Parameters
        ----------
        adata
            Annotated counts, cells x genes: sparse or dense, in memory, backed, as dask arrays, or read by
            :func:`anndata.experimental.read_lazy` (``obs`` and ``var`` are then loaded). If more than 16,384 cells are
            on disk, they are never all in memory at once. Training then shuffles them in blocks of 256 neighbouring
            rows, 64 blocks at a time. Counts that are column-compressed (csc) on disk are read as a whole.
        layer
            Layer with raw counts; default ``X``.
        batch_key
            Column of ``obs`` with the batch of each cell. Each batch has an offset for every gene
            (:func:`~scif.counts.stages.batches.fit_batches`). To use several keys, combine them into one column.
        size_factor_key
            Column of ``obs`` with positive size factors. The library size of a cell is then its size factor times the
            mean counts per unit of size factor, instead of the sum of its counts.
        **kwargs
            Passed by scvi-tools when a saved registry is applied to new data.

        Raises
        ------
        ValueError
            If counts are negative, not finite or log-transformed, cells have no counts, gene names repeat, a key is
            absent, features are of several kinds, or there are no cells or genes.
        """
        refuse_covariates(kwargs)
        setup_method_args = cls._get_setup_method_args(**locals())
        load_tables(adata)
        check_setup(adata, layer=layer, batch_key=batch_key, size_factor_key=size_factor_key)
        check_feature_types(adata)
        controls = controls_of(adata)
        check_cells_beside_controls(adata, layer, controls)
        if (remark := control_remark(adata, controls)) is not None:
            warnings.warn(remark, UserWarning, stacklevel=2)
        if adata.is_view:
            adata._init_as_actual(adata.copy())  # what is registered must own its data
        keep_apart(adata, cls._owners)
        manager = AnnDataManager(
            fields=[
                CountField(REGISTRY_KEYS.X_KEY, layer),
                CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
                SizeFactorField(REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key, required=False),
            ],
            setup_method_args=setup_method_args,
        )
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)
        cls._owners[manager.adata_uuid] = adata

    def train(
        self,
        max_epochs: int | None = None,
        *,
        early_stopping: bool = True,
        batch_size: int | None = None,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        anchor_weight: float = 1.0,
        consistency: Consistency | None = None,
        consistency_weight: float = 1.0,
        num_steps: int | None = None,
        held_out: float = 0.05,
        enable_progress_bar: bool = True,
        plan_kwargs: dict[str, Any] | None = None,
        checkpoint_dir: str | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train on all cells. Calling it again continues training.

        The first Ctrl-C stops training and keeps the best weights; the later stages then run. A second Ctrl-C skips
        them. See also :attr:`fit_report_`.

        Parameters
        ----------
        max_epochs
            Passes over the cells. The default, 4 to 100, makes 450 steps for up to 4,000 cells and 675 for 9,000 or
            more.
        early_stopping
            Check the Poisson loss of held-out molecules about nine times, stop after three checks without improvement,
            and keep the best weights. No cells are held out. If False, no molecules are held out either.
        batch_size
            Cells per minibatch in each process. By default 128 below 8,000 cells and 512 above, over all processes.
        accelerator
            Same as for Lightning's trainer, but ``"auto"`` never chooses ``"mps"``: ask for it by name.
        devices
            Same as for Lightning's trainer.
        anchor_weight
            Weight of the anchor, which predicts some molecules from the others; 0 gives the published objective.
        consistency
            Method that imposes inverse consistency. ``"em"``, the default, fits the prior of the latent factors by EM
            after training (needs at least 40 cells). ``"gradient"``, the default without an anchor, trains the
            published objective. ``"both"`` does both, ``"none"`` neither.
        consistency_weight
            Weight of the inverse consistency term relative to the anchor.
        num_steps
            Time steps of the published objective; default 1, in the publication 10. One step gives the posterior mean.
        held_out
            Fraction of molecules held out, from at most 2,000 cells (fewer if there are many genes).
        enable_progress_bar
            Show progress: first epochs, then stages by name.
        plan_kwargs
            Optimiser settings of the network: ``lr``, ``weight_decay``, ``ema_decay``, ``warmup_steps``.
        checkpoint_dir
            Folder for checkpoints, one after each epoch. If training was killed, the same call resumes after the last
            complete epoch; on a CPU the result is bit-identical. A checkpoint of other counts or arguments is refused.
            SIGTERM, sent by schedulers, ends the process with status 143.
        **trainer_kwargs
            Arguments of :class:`lightning.pytorch.Trainer`, such as ``callbacks`` or ``gradient_clip_val``.

        Raises
        ------
        ValueError
            If an argument is invalid, or the model has no data.
        """
        if self.adata is None:
            msg = "this model was loaded without data; load it with adata to train on."
            raise ValueError(msg)
        check_unchanged(self.adata_manager)
        options = FitOptions(
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            batch_size=batch_size,
            accelerator=accelerator,
            devices=devices,
            anchor_weight=anchor_weight,
            consistency=consistency,
            consistency_weight=consistency_weight,
            num_steps=num_steps,
            held_out=held_out,
            progress=enable_progress_bar,
        )
        settings = self.settings
        if plan_kwargs:
            network = replace(settings.config.network, **check_plan(plan_kwargs))
            settings = replace(settings, config=replace(settings.config, network=network))
        if checkpoint_dir is not None:
            trainer_kwargs["checkpoint_dir"] = checkpoint_dir
        fit = fit_dataset(
            self._dataset(),
            settings,
            options,
            batches=self._batches(),
            before=self._fit,
            **trainer_kwargs,
        )
        self._options = options  # those of the fit that is kept, also where another one fails
        self._keep(fit)
        if fit.network is not None:
            self.trainer = fit.network.trainer

    def refit(self, stage: str) -> None:
        """Repeat a stage and all later stages, without training the network.

        Parameters
        ----------
        stage
            Name of a stage, as in :attr:`fit_report_`: ``"network_dispersion"``, ``"shared_genes"``,
            ``"depth_trend"``, ``"loadings"``, ``"latent_prior"``, ``"dispersion"``, ``"cell_scale"``,
            ``"gene_totals"`` or ``"uncertainty"``.

        Raises
        ------
        ValueError
            If there is no such stage, or the model has no data.
        """
        self._check_if_trained(warn=False)
        if self.adata is None or self._fit is None:
            msg = "this model was loaded without data; load it with adata to refit it."
            raise ValueError(msg)
        check_unchanged(self.adata_manager)
        self._keep(refit_dataset(self._dataset(), self.settings, self._options, before=self._fit, first=stage))

    @property
    def fit_report_(self) -> FitReport:
        """Record of the last fit, stage by stage: seconds, rounds, objective, decision."""
        self._check_if_trained(warn=False)
        assert self._fit is not None  # a trained model has one
        return self._fit.report

    @property
    def noise(self) -> str | NoiseModel:
        """Noise of the measurement, as passed to the model."""
        return self.settings.noise

    @property
    def inverse_dispersion(self) -> pd.Series:
        r"""Technical inverse dispersion :math:`\theta_g`, one value per gene; 1e6 means Poisson noise."""
        return self._per_gene(self.module.fitted.dispersion.inverse_dispersion, "inverse_dispersion")

    @property
    def residual_shape(self) -> pd.Series:
        r"""Gamma shape :math:`\alpha_g` of gene-specific variation, one value per gene; 1e6 means no variation."""
        return self._per_gene(self.module.fitted.dispersion.residual_shape, "residual_shape")

    @property
    def credibility(self) -> pd.Series:
        """Result of the shared-variance test, one value per gene: one if the gene passes, zero otherwise."""
        credibility = self.module.fitted.credibility
        return self._per_gene(torch.ones(len(self.gene_names_)) if credibility is None else credibility, "credibility")

    @property
    def depth_slope(self) -> pd.Series:
        """Slope of a gene's log fraction against the log library size; zero for genes that share variance.

        A spike-in, with as many counts in deep as in shallow cells, has -1. Denoised values are corrected for the
        slope.
        """
        trend = self.module.fitted.trend
        return self._per_gene(torch.zeros(len(self.gene_names_)) if trend is None else trend.slope, "depth_slope")

    def _per_gene(self, values: Tensor, name: str) -> pd.Series:
        self._check_if_trained(warn=False)
        return pd.Series(values.detach().cpu().numpy(), index=pd.Index(self.gene_names_), name=name)

    def _registered_genes(self) -> Any:
        state = self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        return state["column_names"]

    def _dataset(self) -> CountDataset:
        """Counts that the model was set up with."""
        if REGISTRY_KEYS.SIZE_FACTOR_KEY in self.adata_manager.data_registry and self.factor_unit_ is None:
            factors = self.adata_manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY)
            self.factor_unit_ = float(registered_counts(self.adata_manager).gene_totals().sum()) / float(factors.sum())
        return registered_counts(self.adata_manager, factor_unit=self.factor_unit_)

    def _keep(self, fit: Fit) -> None:
        """Take over what was fitted; until here the model is as it was."""
        self._fit, self.module = fit, fit.module
        self.history_ = fit.history
        self.is_trained_ = True
        self._judge()

    @cores()
    @torch.no_grad()
    def _judge(self) -> None:
        """Compare re-noised estimates with the observations, and warn if the run has collapsed."""
        dataset, settings = self._dataset(), self.settings
        count = settings.config.monitor_cells
        rows = np.sort(np.random.default_rng([settings.seed, 4]).permutation(len(dataset))[:count])
        if len(rows) < 20:
            return
        module = self.module
        cells = dataset[rows].to(module.device)
        x0 = estimate(module.network, module.fitted, cells, kind="transport")
        generator = torch.Generator(module.device).manual_seed(settings.seed)
        channel = settings.channel(module.fitted).to(module.device)
        result = collapse(cells.x.dense(), x0, channel, generator=generator)
        result.warn()
        self.collapse_ = {
            "verdict": result.verdict,
            "message": result.message,
            "survival": result.survival.tolist(),
            "ratio": result.ratio.tolist(),
        }
