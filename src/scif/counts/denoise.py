"""Denoised counts of many cells, block by block in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from scif.core.noise._random import standard_gamma
from scif.counts.consistency import CountConsistency
from scif.counts.data.batch import CountBatch, cached_cells
from scif.counts.data.dataset import CountDataset
from scif.counts.posterior.estimate import estimate, posterior_shape, scales
from scif.counts.posterior.expectation import expectation
from scif.parallel import spread

__all__ = ["DISK_CELLS", "Denoising", "Estimator", "cell_scale_blocks", "cells_at_a_time", "denoised_blocks"]

Estimator = Literal["mean", "transport", "sample"]
#: Cells of a block from disk or on a GPU, where each block has a price of its own.
DISK_CELLS = 256


@dataclass(frozen=True)
class Denoising:
    """What is asked for.

    Attributes
    ----------
    estimator
        ``"mean"``, ``"transport"`` or ``"sample"``.
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
    """

    estimator: Estimator = "mean"
    target: tuple[int, ...] | None = None
    library_size: float | Literal["observed", "latent"] | None = None
    n_samples: int = 1
    return_mean: bool = True
    seed: int = 0


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
    generator = torch.Generator(module.device).manual_seed(asked.seed)
    drawn = asked.estimator == "sample"

    def block(given: CountBatch) -> np.ndarray:
        cells = given.to(module.device)
        value = _draws(module, cells, asked, pick, generator) if drawn else _estimates(module, cells, asked)[:, pick]
        array: np.ndarray = value.cpu().numpy()
        return array

    cells = dataset.batches(rows, batch_size=batch_size)
    # draws are made one block after the other, so that random numbers are in the order of the cells
    yield from map(block, cells) if drawn else spread(block, cells, on=module.device)


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
    return float(asked)


def _draws(
    module: CountConsistency, cells: CountBatch, asked: Denoising, pick: Tensor, generator: torch.Generator
) -> Tensor:
    """Draws from the gamma posterior of each gene; the library size holds on average."""
    mean = _estimates(module, cells, asked)[:, pick]
    shape = posterior_shape(module.network, module.fitted, cells)[:, pick]
    draws = (mean * standard_gamma(shape, generator) / shape for _ in range(asked.n_samples))
    if asked.return_mean:
        return sum(draws, torch.zeros_like(mean)) / asked.n_samples
    return torch.stack(list(draws))
