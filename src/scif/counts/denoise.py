"""Denoised counts of many cells, block by block in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from scif.counts.consistency import CountConsistency
from scif.counts.controls import ControlColumns
from scif.counts.data.batch import CountBatch, cached_cells
from scif.counts.data.dataset import CountDataset
from scif.counts.posterior.estimate import estimate, scales
from scif.counts.posterior.expectation import expectation
from scif.counts.posterior.uncertainty import CountUncertainty
from scif.parallel import spread

__all__ = ["DISK_CELLS", "Denoising", "Estimator", "cell_scale_blocks", "cells_at_a_time", "denoised_blocks"]

Estimator = Literal["mean", "transport", "sample", "counts"]
#: Cells of a block from disk or on a GPU, where each block has a price of its own.
DISK_CELLS = 256


@dataclass(frozen=True)
class Denoising:
    """Choices of one request for denoised counts.

    Attributes
    ----------
    estimator
        ``"mean"``, ``"transport"``, ``"sample"`` for draws of the expected counts, or ``"counts"`` for draws of counts.
    target
        Codes of the batches to express all cells in, over which results are averaged; their own if None. The number of
        batches stands for the average batch.
    library_size
        Sum of each result over all genes: a number; ``"observed"`` is the sum of the cell's counts; the library size of
        the model, which size factors change, if ``"latent"`` or None.
    n_samples, return_mean
        Draws of each cell, and whether they are averaged.
    seed
        Seed of the draws.
    return_std
        Whether means come with standard deviations, ``(2, cells, genes)``.
    quantiles
        Posterior quantiles instead of the mean, ``(quantiles, cells, genes)``.
    """

    estimator: Estimator = "mean"
    target: tuple[int, ...] | None = None
    library_size: float | Literal["observed", "latent"] | None = None
    n_samples: int = 1
    return_mean: bool = True
    seed: int = 0
    return_std: bool = False
    quantiles: tuple[float, ...] | None = None

    def shape(self, cells: int, genes: int) -> tuple[int, ...]:
        """Shape of the result."""
        if self.estimator in ("sample", "counts"):
            return (cells, genes) if self.return_mean else (self.n_samples, cells, genes)
        if self.quantiles is not None:
            return len(self.quantiles), cells, genes
        return (2, cells, genes) if self.return_std else (cells, genes)


def cells_at_a_time(dataset: CountDataset, device: torch.device, *, at_least: int = DISK_CELLS) -> int:
    """Cells of a block: few are fastest on a processor, many where a block has a price of its own."""
    if dataset.on_disk or device.type != "cpu":
        return max(at_least, DISK_CELLS)
    return cached_cells(dataset.num_genes)


def denoised_blocks(
    module: CountConsistency,
    dataset: CountDataset,
    rows: np.ndarray,
    asked: Denoising,
    *,
    genes: np.ndarray,
    batch_size: int,
) -> Iterator[np.ndarray]:
    """Denoised counts of cells, in their order, as arrays ``(..., cells of the block, genes asked for)``."""
    pick = torch.from_numpy(genes).to(module.device)
    controls = ControlColumns.among(genes, dataset.controls, module.device)
    certain = asked.estimator in ("mean", "transport") and not asked.return_std and asked.quantiles is None
    uncertain = None if certain else CountUncertainty.of(module.network, module.fitted)

    def block(given: tuple[CountBatch, np.ndarray]) -> np.ndarray:
        cells = given[0].to(module.device)
        mean = _estimates(module, cells, asked)
        if uncertain is None:
            value = mean[:, pick]
        else:
            value = _uncertain(uncertain, cells, mean, asked, rows=torch.from_numpy(given[1]), pick=pick)
        if controls is not None and cells.controls is not None:
            factor = _over_counts(cells, asked.library_size)
            value = controls.into(value, cells.controls, factor, with_sd=asked.return_std, quantiles=asked.quantiles)
        array: np.ndarray = value.cpu().numpy()
        return array

    numbers = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    cells = zip(dataset.batches(rows, batch_size=batch_size), numbers, strict=True)
    yield from spread(block, cells, on=module.device)


def cell_scale_blocks(
    module: CountConsistency, dataset: CountDataset, rows: np.ndarray, *, batch_size: int
) -> Iterator[np.ndarray]:
    """Dispersion scales of cells, in their order, block by block."""

    def block(given: CountBatch) -> np.ndarray:
        cells = given.to(module.device)
        expected = expectation(module.network, module.fitted, cells, scale="counts").at_depth
        found: np.ndarray = scales(module.fitted, cells.x, expected).cpu().numpy()
        return found

    yield from spread(block, dataset.batches(rows, batch_size=batch_size), on=module.device)


def _estimates(module: CountConsistency, cells: CountBatch, asked: Denoising) -> Tensor:
    kind: Literal["mean", "transport"] = "transport" if asked.estimator == "transport" else "mean"

    def expressed(code: int | None) -> Tensor:
        target = None if code is None else torch.full_like(cells.library, code, dtype=torch.long)
        return estimate(module.network, module.fitted, cells, target=target, kind=kind)

    targets = (None,) if asked.target is None else asked.target
    value = expressed(targets[0])
    for code in targets[1:]:
        value += expressed(code)
    value /= len(targets)
    size = _library_sizes(cells, asked.library_size)
    return value if size is None else value * (size / cells.library)[:, None]


def _library_sizes(cells: CountBatch, asked: float | str | None) -> Tensor | float | None:
    """Sums of the results ``(cells,)``; None for the library sizes of the model."""
    if asked is None or asked == "latent":
        return None
    if asked == "observed":
        return None if cells.ratio is None else cells.x.totals()
    return float(asked) if cells.controls is None else _over_counts(cells, asked) * cells.x.totals()


def _over_counts(cells: CountBatch, asked: float | str | None) -> Tensor:
    """Sums of the results over those of the counts ``(cells,)``; a number is the sum over controls, too."""
    totals = cells.x.totals()
    if asked is None or asked == "latent":
        return torch.ones_like(totals) if cells.ratio is None else cells.ratio
    if asked == "observed":
        return torch.ones_like(totals)
    return float(asked) / (totals if cells.controls is None else totals + cells.controls.sum(1))


def _uncertain(
    uncertain: CountUncertainty, cells: CountBatch, mean: Tensor, asked: Denoising, *, rows: Tensor, pick: Tensor
) -> Tensor:
    """Means with standard deviations, quantiles, or draws of some genes."""
    if asked.quantiles is not None:
        return uncertain.quantiles(cells, mean, asked.quantiles)[:, :, pick]
    if asked.return_std:
        return torch.stack([mean, uncertain.sd(cells, mean)])[:, :, pick]
    return uncertain.draws(
        cells,
        mean,
        rows=rows,
        genes=pick,
        n_samples=asked.n_samples,
        seed=asked.seed,
        counts=asked.estimator == "counts",
        average=asked.return_mean,
    )
