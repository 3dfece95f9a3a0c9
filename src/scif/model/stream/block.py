"""One block of cells on one of dask's workers."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import zarr
from anndata.io import read_elem

from scif._extras import require
from scif.metrics import poisson_nll
from scif.model.icm import ICM
from scif.model.stream.parts import write_whole

__all__ = ["BlockTask", "counts_layer", "denoise_block", "values_of"]

#: A worker computes one block at a time, whatever threads it has: a block takes the memory and the cores of a worker.
_ONE = threading.Lock()


@dataclass(frozen=True)
class BlockTask:
    """Everything that a worker needs besides the block.

    Attributes
    ----------
    model, counts, folder
        Paths that all machines see; the folder has the store that is written and the list of finished blocks.
    layer
        Layer of the store.
    batch
        Cells of a minibatch.
    held_out, scale
        Layer of molecules that the model has not seen, and the factor to their depth.
    choices
        Arguments of the getter that decide values.
    """

    model: str
    counts: str
    folder: str
    layer: str
    batch: int
    held_out: str | None
    scale: float
    choices: dict[str, Any]


def denoise_block(task: BlockTask, start: int, stop: int) -> dict[str, Any]:
    """Denoise and write the cells of a block, on a worker; what is known of it is written last."""
    done = Path(task.folder) / "blocks" / f"{start:012d}.json"
    if done.exists():
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found
    dask = require("dask", extra="dask", purpose="denoise_distributed")
    with (
        _ONE,
        _quiet(),
        dask.config.set(scheduler="synchronous"),
    ):  # to read here, not as tasks that wait for this one to end
        store: Any = zarr.open_group(Path(task.folder) / "whole.zarr", mode="r+")
        trained = ICM.load(task.model, adata=False)
        lazy = ad.experimental.read_lazy(task.counts, load_annotation_index=False)[start:stop]
        obs = lazy.obs.to_memory().set_axis([f"row {row}" for row in range(start, stop)])
        name = counts_layer(trained)
        x = values_of(lazy, name).compute()
        where: dict[str, Any] = {"X": x} if name is None else {"layers": {name: x}}
        cells = ad.AnnData(obs=obs, var=read_elem(store["var"]), **where)
        values = trained.get_denoised(cells, batch_size=task.batch, **task.choices)
        trained.deregister_manager(cells)  # scvi-tools would keep every block
        store[f"layers/{task.layer}"][start:stop] = values
        facts = {
            "start": start,
            "cells": stop - start,
            "counts": float(x.sum(dtype="f8")),
            "denoised": float(values.sum(dtype="f8")),
        }
        if task.held_out is not None:
            test = values_of(lazy, task.held_out).compute()
            facts["poisson_nll"] = poisson_nll(values, test, scale=task.scale)
        write_whole(done, json.dumps(facts).encode())
    return facts


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep scvi-tools from saying of each block that it is new data."""
    logger = logging.getLogger("scvi")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def counts_layer(trained: ICM) -> str | None:
    """Layer of the counts; None if they are in ``X``."""
    name: str | None = trained.registry_["setup_args"].get("layer")
    return name


def values_of(lazy: Any, layer: str | None) -> Any:
    """Counts that stay on disk."""
    return lazy.X if layer is None else lazy.layers[layer]
