"""Inverse consistency model for single-cell counts."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data._utils import _check_if_view
from scvi.data.fields import CategoricalObsField, NumericalObsField
from scvi.model.base import BaseModelClass, UnsupervisedTrainingMixin
from torch import Tensor

from scif.core.monitor import collapse
from scif.core.noise import NegativeBinomial, NoiseModel, Poisson
from scif.counts.data.dataset import CountBatch, CountDataModule, CountDataset, cached_cells
from scif.counts.data.held_out import hold_out
from scif.counts.network import CountNetwork
from scif.counts.objective import CountAnchor
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.stages.batches import fit_batches, reference_profile, start_rows
from scif.counts.stages.dispersion import MANY_ENTRIES, few, moment_variation
from scif.counts.stages.network import CountPlan
from scif.counts.stages.start import choose_width, svd_start
from scif.model.arguments import check_model, check_training
from scif.model.checks import check_setup, refuse_covariates
from scif.model.feature_types import check_feature_types
from scif.model.fields import CountField
from scif.model.getters import DenoiseMixin
from scif.model.runner import CountRunner
from scif.model.surface import SurfaceMixin
from scif.parallel import cores

__all__ = ["ICM"]

#: Cells from which the start is made, and on which collapse is judged.
START_CELLS, MONITOR_CELLS = 10_000, 512
#: Looks at the held-out molecules, and looks in vain before training stops.
VALIDATIONS, PATIENCE = 9, 3
#: Optimiser steps for up to so many cells; for more they grow with the root of their number, by half at the most.
STEPS, STEP_CELLS = 450, 4_000


class ICM(SurfaceMixin, DenoiseMixin, UnsupervisedTrainingMixin, BaseModelClass):
    r"""Denoise single-cell counts by an inverse consistency model :cite:p:`zhang2025inverse`.

    Learns expected counts from the noisy counts alone. A network starts at a truncated SVD and learns what genes
    share, by predicting some of a cell's molecules from the others (the anchor); training ends with the posterior mean
    of each gene's loadings given the latent codes. Inverse consistency asks for a prior of clean signals that, put
    through the noise channel, gives the observed counts back, and for the posterior mean under it: both are fitted
    in the narrow space of the latent codes (``CodePrior``), and the estimate is the mean of the two.
    Without an anchor consistency is trained by gradients, as published. What each gene varies on its own is brought
    in by conjugacy, see ``scif.counts.posterior.consistency.CountConsistency``.

    Parameters
    ----------
    adata
        AnnData that :meth:`setup_anndata` has registered.
    noise
        Noise of the measurement given the expected counts. ``"poisson"``: sampling of molecules alone; all other
        variation counts as biology and is kept. ``"nb"``: negative binomial; the overdispersion that even the
        steadiest well-measured genes show counts as technical, too, is estimated, and is taken off. Or a
        :class:`~scif.core.noise.Poisson`, :class:`~scif.core.noise.Multinomial` or
        :class:`~scif.core.noise.NegativeBinomial` channel.
    n_latent
        Number of SVD components; chosen by held-out molecules at the first training if not given.
    n_hidden
        Width of the residual network.
    dropout_rate
        Dropout of the residual network.
    residual
        Whether the result has what each gene varies on its own. If not, it is what genes share; that variation is
        estimated all the same.
    start
        Where training starts: ``"svd"``, or ``"pooled"``, the pooled profile.
    seed
        Seed of everything that is drawn; the global random state is not used. On a processor the numbers are the
        same for any number of threads (``torch.set_num_threads``); another machine may round differently.
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

    _training_plan_cls = CountPlan
    _train_runner_cls = CountRunner

    def __init__(
        self,
        adata: AnnData | None = None,
        noise: Literal["nb", "poisson"] | NoiseModel = "poisson",
        *,
        n_latent: int | None = None,
        n_hidden: int = 256,
        dropout_rate: float = 0.0,
        residual: bool = True,
        start: Literal["svd", "pooled"] = "svd",
        seed: int = 0,
        registry: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(adata, registry)
        check_model(noise, n_latent, start, n_hidden=n_hidden, dropout_rate=dropout_rate)
        self.init_params_ = self._get_init_params(locals())
        self.gene_names_ = [str(gene) for gene in self._registered_genes()]
        self.factor_unit_: float | None = None
        self.collapse_: dict[str, Any] | None = None
        self.noise = noise
        self.n_hidden, self.dropout_rate, self.residual, self.start, self.seed = (
            n_hidden,
            dropout_rate,
            residual,
            start,
            seed,
        )
        self._asked_width = n_latent
        self.module = self._build(10 if n_latent is None else n_latent)
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
        """Register counts for the model; nothing is changed if anything is wrong.

        Parameters
        ----------
        adata
            Annotated counts, cells x genes: sparse or dense, in memory, backed or dask arrays. More than 16,384 cells
            on disk are never in memory together, and are shuffled 64 stretches of 256 neighbours at a time; counts that
            are column-compressed (csc) on disk are read whole.
        layer
            Layer that holds raw counts; ``X`` if not given.
        batch_key
            Column of ``obs`` that names each cell's batch. Each batch has an offset for every gene, found among cells
            of like clusters (:func:`~scif.counts.stages.batches.fit_batches`). Several keys are crossed into one
            column; covariates of other kinds are refused.
        size_factor_key
            Column of ``obs`` with positive size factors. A cell's library size is then its size factor times the
            counts per unit of size factor over all cells, instead of its sum.
        **kwargs
            Passed on by scvi-tools when a saved registry is applied to new data.

        Raises
        ------
        ValueError
            If counts are negative, not finite or log-transformed, cells have no counts, gene names repeat, a key is
            absent, features are not all of one kind, or there are no cells or genes. Names what is wrong.
        """
        refuse_covariates(kwargs)
        setup_method_args = cls._get_setup_method_args(**locals())
        check_setup(adata, layer=layer, batch_key=batch_key, size_factor_key=size_factor_key)
        check_feature_types(adata)
        _check_if_view(adata, copy_if_view=True)  # what is registered must own its data
        manager = AnnDataManager(
            fields=[
                CountField(REGISTRY_KEYS.X_KEY, layer),
                CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
                NumericalObsField(REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key, required=False),
            ],
            setup_method_args=setup_method_args,
        )
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    @cores()
    def train(
        self,
        max_epochs: int | None = None,
        *,
        early_stopping: bool = True,
        batch_size: int | None = None,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        anchor_weight: float = 1.0,
        consistency_weight: float = 1.0,
        num_steps: int | None = None,
        held_out: float = 0.05,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train on all cells; calling again trains on.

        Parameters
        ----------
        max_epochs
            Passes over the cells, 4 to 100; if not given 450 steps' worth for up to 4,000 cells, 675 from 9,000 on.
        early_stopping
            Look at the Poisson loss of held-out molecules about nine times, stop when it has not fallen for three, and
            keep the best weights. Molecules are held out, not cells: every cell trains. Without it none is held out.
        batch_size
            Cells per minibatch; 128 below 8,000 cells and 512 above if not given.
        accelerator, devices
            As for Lightning's trainer; ``"mps"`` must be asked for.
        anchor_weight
            Weight of predicting molecules from others; 0 is the publication's objective.
        consistency_weight
            Weight of inverse consistency. Its minimiser, with the anchor, is the posterior mean under the prior that,
            put through the noise channel, gives the observed counts back. That prior is fitted to the latent codes
            when training is over (``CodePrior``), if 40 cells or more differ by more than noise; estimates
            are weighted means of what the anchor trained and this. Without an anchor it is the publication's objective.
        num_steps
            Train the consistency term by gradients, as published, with so many time steps. With one step its
            minimiser is the posterior mean; many steps keep the distribution. The publication uses 10; few steps
            without an anchor erase the signal. Without an anchor one if not given.
        held_out
            Share of the molecules held out from up to 2,000 cells, fewer if genes are many.
        plan_kwargs
            Further arguments of the training plan: ``lr``, ``weight_decay``, ``ema_decay``.
        **trainer_kwargs
            Arguments of :class:`scvi.train.Trainer`, such as ``enable_progress_bar`` or ``gradient_clip_val``.
        """
        if self.adata is None:
            msg = "this model was loaded without data; load it with adata to train on."
            raise ValueError(msg)
        check_training(max_epochs, batch_size, anchor_weight, consistency_weight, num_steps, held_out)
        num_cells = int(self.adata.n_obs)
        batch_size = (128 if num_cells < 8_000 else 512) if batch_size is None else batch_size
        if max_epochs is None:
            steps = STEPS * min(max(math.sqrt(num_cells / STEP_CELLS), 1.0), 1.5)
            max_epochs = min(max(math.ceil(steps / math.ceil(num_cells / batch_size)), 4), 100)
        done = max((len(curve) for curve in (self.history_ or {}).values()), default=0)
        seed = self.seed + done
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            by_batch = CountDataset(self.adata_manager).gene_totals()  # the cells drawn below may lack a gene
            every = by_batch.sum(0)
            dataset = self._training_data(held_out if early_stopping else 0.0, float(every.sum()))
            reference = self._reference(dataset, batch_size)
            many = np.sort(np.random.default_rng([self.seed, 5]).permutation(num_cells)[:START_CELLS])
            if not self.is_trained_:
                self._start(dataset, reference, by_batch)
            plan = {
                "noise": self._channel(),
                "reference": reference,
                "cells": partial(dataset.batches, many, batch_size=cached_cells(len(self.gene_names_))),
                "technical": self._technical(),
                "profile": torch.from_numpy(self._reference_profile(by_batch)),
                "anchor_weight": anchor_weight,
                "consistency_weight": consistency_weight,
                "num_steps": num_steps,
                "seed": seed,
            }
            split = CountAnchor().split if anchor_weight > 0 else None
            defaults: dict[str, Any] = {"gradient_clip_val": 1.0, "benchmark": False, "log_every_n_steps": 1}
            if early_stopping:
                defaults |= {
                    "early_stopping_monitor": "validation_loss",
                    "early_stopping_patience": PATIENCE,
                    "check_val_every_n_epoch": max(1, round(max_epochs / VALIDATIONS)),
                }
            with dataset.held(many):
                super().train(
                    max_epochs=max_epochs,
                    accelerator=accelerator,
                    devices=devices,
                    early_stopping=early_stopping,
                    datamodule=CountDataModule(dataset, batch_size=batch_size, seed=seed, split=split),
                    plan_kwargs=plan | (plan_kwargs or {}),
                    **(defaults | trainer_kwargs),
                )
            self._judge(dataset)

    @property
    def inverse_dispersion(self) -> pd.Series:
        """Technical inverse dispersion of each gene, aligned to the genes; 1e6 stands for Poisson noise."""
        return self._per_gene(self.module.inverse_dispersion, "inverse_dispersion")

    @property
    def residual_shape(self) -> pd.Series:
        """Gamma shape of each gene's own biological variation, aligned to the genes; 1e6 stands for none."""
        return self._per_gene(self.module.residual_shape, "residual_shape")

    @property
    def credibility(self) -> pd.Series:
        """One where what a gene shares with others is believed, aligned to the genes; zero: it varies on its own."""
        return self._per_gene(self.module.credibility, "credibility")

    @property
    def depth_slope(self) -> pd.Series:
        """How the share of a gene that is not believed grows with depth, aligned to the genes; zero for the others.

        The slope of its logarithm in the log library size, from -1, for one with as many counts in deep as in
        shallow cells, such as a spike-in, to 0. It is taken out of what is denoised.
        """
        return self._per_gene(self.module.trend.slope, "depth_slope")

    def _per_gene(self, values: Tensor, name: str) -> pd.Series:
        return pd.Series(values.detach().cpu().numpy(), index=pd.Index(self.gene_names_), name=name)

    def _registered_genes(self) -> Any:
        state = self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        return state["column_names"]

    def _build(self, width: int) -> CountConsistency:
        width = max(1, min(width, len(self.gene_names_) - 1))
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = CountNetwork(
                len(self.gene_names_),
                width,
                hidden=self.n_hidden,
                num_batches=int(self.summary_stats.n_batch),
                dropout=self.dropout_rate,
            )
        return CountConsistency(network, residual=self.residual)

    def _channel(self) -> NoiseModel:
        if isinstance(self.noise, NegativeBinomial) or self.noise == "nb":
            return NegativeBinomial(self.module.inverse_dispersion.detach().cpu().clone())
        return Poisson()

    def _technical(self) -> Tensor | float | None:
        """Technical inverse dispersion if it is known; None if it is to be estimated."""
        if isinstance(self.noise, NegativeBinomial):
            return self.noise.inverse_dispersion.detach().float()
        return None if self.noise == "nb" else math.inf

    def _training_data(self, share: float, total: float) -> CountDataset:
        """The data, of ``total`` molecules, with a share of them held out of some cells."""
        manager = self.adata_manager
        if REGISTRY_KEYS.SIZE_FACTOR_KEY in manager.data_registry and self.factor_unit_ is None:
            self.factor_unit_ = total / float(manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY).sum())
        dataset = CountDataset(manager, factor_unit=self.factor_unit_)
        if share == 0.0:
            return dataset
        rng = np.random.default_rng([self.seed, 1])  # the same molecules in every training of this model
        return CountDataset(manager, factor_unit=self.factor_unit_, held_out=hold_out(dataset, share, rng=rng))

    def _reference(self, dataset: CountDataset, batch_size: int) -> list[CountBatch]:
        """Cells from which each gene's own variation is estimated."""
        count = int(np.clip(MANY_ENTRIES // len(self.gene_names_), 64, 8192))
        rows = np.random.default_rng([self.seed, 2]).permutation(len(dataset))[:count]
        with dataset.held(rows):
            return list(dataset.batches(rows, batch_size=min(batch_size, 128)))

    def _reference_profile(self, by_batch: np.ndarray) -> np.ndarray:
        """Pooled composition of the average batch from the genes' totals in each batch, ``(genes,)``."""
        offset = self.module.network.batch_offset
        if offset is None:
            every: np.ndarray = by_batch.sum(0)
            return every / every.sum()
        return reference_profile(by_batch, offset[: len(by_batch)].cpu().numpy())

    def _start(self, dataset: CountDataset, reference: list[CountBatch], by_batch: np.ndarray) -> None:
        """Bring the module to where training starts; ``by_batch`` has the genes' totals in each batch."""
        every = by_batch.sum(0)
        rng = np.random.default_rng([self.seed, 3])
        rows = start_rows(rng.permutation(len(dataset)), START_CELLS, dataset.batch)
        x = dataset.training_counts(rows)
        most = max(1, min(x.shape) - 1)
        batch, offset, batches = None, None, None
        if dataset.batch is not None:
            batch = dataset.batch[rows]
            batches = fit_batches(x, batch, num_batches=int(self.summary_stats.n_batch), rng=rng)
            batches.warn(self._batches())
            offset = batches.offset
        width = self._asked_width
        if width is None:
            width = choose_width(x, rng=rng, batch=batch, offset=offset)
        self.module = self._build(min(width, most))
        self.init_params_["non_kwargs"]["n_latent"] = self.module.network.width  # a saved model knows its shape
        network = self.module.network
        seen = every if dataset.held_out is None else every - np.asarray(dataset.held_out[1].sum(0)).ravel()
        seen = np.where(every > 0, seen.clip(0.5), 0.0)  # the network could not come back from nothing
        if batches is not None:
            network.set_batches(torch.from_numpy(batches.offset), torch.from_numpy(batches.present))
        start = svd_start(x, network.width, profile=seen, rng=rng, batch=batch, offset=offset)
        if batches is not None:  # the bias is that of the average batch
            ratio = reference_profile(by_batch, batches.offset) / (every / every.sum()).clip(1e-30)
            start = replace(start, profile=start.profile * torch.from_numpy(ratio).to(start.profile))
        network.start_from(start)
        if self.start == "pooled":
            with torch.no_grad():
                network.loadings.normal_(std=0.02)
        moment_variation(self.module, few(reference), technical=self._technical()).put_into(self.module)

    @torch.no_grad()
    def _judge(self, dataset: CountDataset) -> None:
        """Compare re-noised estimates with the observations, and say so if the run has collapsed."""
        rows = np.sort(np.random.default_rng([self.seed, 4]).permutation(len(dataset))[:MONITOR_CELLS])
        if len(rows) < 20:
            return
        batch = CountDataset(self.adata_manager, factor_unit=self.factor_unit_)[rows].to(self.device)
        x0 = self.module(batch.x, 1.0, library=batch.library, batch=batch.batch, kind="transport")
        generator = torch.Generator(self.device).manual_seed(self.seed)
        result = collapse(batch.x.dense(), x0, self._channel().to(self.device), generator=generator)
        result.warn()
        self.collapse_ = {
            "verdict": result.verdict,
            "message": result.message,
            "survival": result.survival.tolist(),
            "ratio": result.ratio.tolist(),
        }
