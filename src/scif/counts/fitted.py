"""The count method on arrays: ``fit_counts`` and what it gives."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from scif.core.noise import NoiseModel
from scif.counts.config import CountConfig
from scif.counts.data.checks import check_counts
from scif.counts.data.dataset import CountDataset
from scif.counts.denoise import Denoising, Estimator, cell_scale_blocks, cells_at_a_time, denoised_blocks
from scif.counts.fit import Fit, fit_dataset, refit_dataset
from scif.counts.options import Consistency, FitOptions
from scif.counts.report import FitReport
from scif.counts.settings import CountSettings
from scif.parallel import cores

__all__ = ["FittedCounts", "fit_counts"]


@dataclass(frozen=True)
class FittedCounts:
    """A fitted count model on arrays.

    Attributes
    ----------
    fit
        Network, parameters, report and learning curves.
    settings, options
        Settings of the model, and options of its training.
    dataset
        Counts that the model was fitted to.
    batches
        Batch names, in the order of their codes; None without batches.
    """

    fit: Fit
    settings: CountSettings
    options: FitOptions
    dataset: CountDataset
    batches: tuple[Any, ...] | None = None

    @property
    def report(self) -> FitReport:
        """Record of the fit, stage by stage."""
        return self.fit.report

    @property
    def history(self) -> dict[str, pd.DataFrame]:
        """Learning curves by name."""
        return self.fit.history

    @cores()
    @torch.inference_mode()
    def denoise(
        self,
        x: Any = None,
        *,
        batch: Any = None,
        size_factor: Any = None,
        estimator: Estimator = "mean",
        target_batch: Any = None,
        library_size: float | None = None,
        n_samples: int = 1,
        return_mean: bool = True,
        seed: int = 0,
        out: Any = None,
    ) -> Any:
        """Expected counts ``(cells, genes)``, on the scale of the counts.

        Parameters
        ----------
        x
            Counts of new cells, cells x genes, with the genes of the fit in the same order; default the cells of the
            fit.
        batch
            Batches of the new cells, ``(cells,)``.
        size_factor
            Size factors of the new cells, ``(cells,)``.
        estimator
            ``"mean"``: posterior mean, lowest error. ``"transport"``: keeps the distribution. ``"sample"``: draws.
        target_batch
            Express all cells as if they were from this batch; default their own batch.
        library_size
            Sum of each cell in the result; default its library size.
        n_samples
            Number of draws per cell.
        return_mean
            Average the draws. If False, the result has shape ``(n_samples, cells, genes)``.
        seed
            Seed of the draws.
        out
            Array of the result's shape to write into; it is also returned.

        Raises
        ------
        ValueError
            If counts are invalid, or if a batch is unknown.
        """
        dataset = self.dataset if x is None else self._new(x, batch, size_factor)
        module = self.fit.module.eval()
        target = None if target_batch is None else (int(self._codes([target_batch])[0]),)
        asked = Denoising(estimator, target, library_size, n_samples, return_mean, seed)
        shape: tuple[int, ...] = (len(dataset), dataset.num_genes)
        shape = (n_samples, *shape) if estimator == "sample" and not return_mean else shape
        out = np.empty(shape, dtype=np.float32) if out is None else out
        if tuple(out.shape) != shape:
            msg = f"out has shape {tuple(out.shape)}, but the result has {shape}."
            raise ValueError(msg)
        rows, genes = np.arange(len(dataset)), np.arange(dataset.num_genes)
        size, start = cells_at_a_time(dataset, module.device), 0
        for block in denoised_blocks(module, dataset, rows, asked, genes=genes, batch_size=size):
            end = start + block.shape[-2]
            out[..., start:end, :] = block
            start = end
        return out

    @cores()
    @torch.inference_mode()
    def cell_scale(self) -> np.ndarray:
        """Dispersion scale of each cell of the fit relative to an average cell, ``(cells,)``."""
        module, rows = self.fit.module.eval(), np.arange(len(self.dataset))
        size = cells_at_a_time(self.dataset, module.device)
        return np.concatenate(list(cell_scale_blocks(module, self.dataset, rows, batch_size=size)))

    def refit(self, stage: str) -> FittedCounts:
        """Repeat a stage and all later stages, without training the network; the report lists their names."""
        fit = refit_dataset(self.dataset, self.settings, self.options, before=self.fit, first=stage)
        return replace(self, fit=fit)

    def _new(self, x: Any, batch: Any, size_factor: Any) -> CountDataset:
        check_counts(x, name="x")
        if x.shape[1] != self.dataset.num_genes:
            msg = f"x has {x.shape[1]} genes, but the fit has {self.dataset.num_genes}; pass the same genes in order."
            raise ValueError(msg)
        if self.batches is not None and batch is None:
            msg = "the fit has batches; pass batch, one name for each cell."
            raise ValueError(msg)
        codes = None if self.batches is None else self._codes(batch)
        return CountDataset(
            x,
            batch=codes,
            size_factor=_factors(size_factor),
            factor_unit=self.dataset.factor_unit,
            controls=self.dataset.controls,
        )

    def _codes(self, names: Any) -> np.ndarray:
        known = list(self.batches or ())
        place = {name: code for code, name in enumerate(known)}
        unknown = sorted({str(name) for name in names if name not in place})
        if unknown:
            msg = f"batch has names that the fit does not know: {', '.join(unknown)}; it knows {known}."
            raise ValueError(msg)
        return np.array([place[name] for name in names], dtype=np.int64)


def fit_counts(
    x: Any,
    *,
    batch: Any = None,
    size_factor: Any = None,
    noise: Literal["poisson", "nb"] | NoiseModel = "poisson",
    n_latent: int | None = None,
    residual: bool = True,
    consistency: Consistency | None = None,
    max_epochs: int | None = None,
    seed: int = 0,
    config: CountConfig | None = None,
    controls: Any = None,
    progress: bool = False,
    **options: Any,
) -> FittedCounts:
    """Fit the count model to a matrix of counts, without AnnData.

    Parameters
    ----------
    x
        Raw counts, cells x genes: an array or SciPy sparse matrix, or backed, ``h5py``, ``zarr`` or dask arrays.
    batch
        Batch of each cell, ``(cells,)``.
    size_factor
        Positive size factors ``(cells,)``; library sizes are then proportional to them.
    noise
        ``"poisson"``, ``"nb"``, or a channel, as for :class:`scif.model.ICM`.
    n_latent
        Number of SVD components; by default chosen on held-out molecules.
    residual
        Whether estimates contain gene-specific variation.
    consistency
        Method that imposes inverse consistency: ``"em"`` (the default with an anchor) fits the prior of the latent
        factors by EM, ``"gradient"`` trains the published objective, ``"both"`` does both, ``"none"`` neither.
    max_epochs
        Maximum number of passes over the cells.
    seed
        Seed of everything that is drawn.
    config
        Constants of the stages.
    controls
        Column numbers of spike-ins or controls. They do not count towards the library size and are returned as
        observed.
    progress
        Show progress by stage.
    **options
        Further fields of :class:`~scif.counts.options.FitOptions`, such as ``batch_size`` or ``accelerator``.

    Raises
    ------
    ValueError
        If the counts or an argument are invalid; the message says which.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.counts import fit_counts
    >>> x = np.random.default_rng(0).poisson(2.0, (60, 30))
    >>> fitted = fit_counts(x, max_epochs=1)
    >>> fitted.denoise().shape
    (60, 30)
    >>> fitted.report["network"].decision
    '1 epochs, validation loss ...'
    """
    for remark in check_counts(x, name="x").remarks:
        warnings.warn(remark, UserWarning, stacklevel=2)
    controls = None if controls is None or len(controls) == 0 else np.unique(np.asarray(controls, dtype=np.int64))
    names = None if batch is None else tuple(pd.unique(np.asarray(batch)).tolist())
    if batch is not None and len(batch) != x.shape[0]:
        msg = f"batch has {len(batch)} entries, but x has {x.shape[0]} cells."
        raise ValueError(msg)
    codes = None
    if names is not None and len(names) > 1:
        codes = np.array([names.index(name) for name in np.asarray(batch).tolist()], dtype=np.int64)
    factors = _factors(size_factor)
    if factors is not None and len(factors) != x.shape[0]:
        msg = f"size_factor has {len(factors)} entries, but x has {x.shape[0]} cells."
        raise ValueError(msg)
    dataset = CountDataset(x, batch=codes, controls=controls)
    if factors is not None:
        unit = float(dataset.gene_totals().sum()) / float(factors.sum())
        dataset = CountDataset(x, batch=codes, size_factor=factors, factor_unit=unit, controls=controls)
    settings = CountSettings(
        noise, n_latent, residual=residual, seed=seed, config=CountConfig() if config is None else config
    )
    chosen = FitOptions(max_epochs=max_epochs, consistency=consistency, progress=progress, **options)
    fit = fit_dataset(dataset, settings, chosen, batches=("all",) if codes is None or names is None else names)
    return FittedCounts(fit, settings, chosen, dataset, None if codes is None else names)


def _factors(size_factor: Any) -> np.ndarray | None:
    if size_factor is None:
        return None
    factors = np.asarray(size_factor, dtype=float).ravel()
    if not (np.isfinite(factors) & (factors > 0)).all():
        msg = "size_factor must be positive and finite for every cell."
        raise ValueError(msg)
    return factors
