"""The count model and scVI on a GPU, and the count model on the processor of the same machine."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import torch
from benchmarks.counts.data import load
from benchmarks.counts.methods._scale import library_size, to_library
from benchmarks.counts.scores.held_out import held_out
from benchmarks.counts.task import Task, make_task
from benchmarks.counts.usage import measured

from scif.model import ICM

__all__ = ["METHODS", "measure"]


def _loss(expected: np.ndarray, task: Task) -> float:
    """Poisson loss of the held-out molecules."""
    return held_out(expected, task)["poisson_nll"]


def _icm(task: Task, **options: Any) -> Callable[[], np.ndarray]:
    ICM.setup_anndata(adata := ad.AnnData(task.train.astype(np.float32)))
    model = ICM(adata)
    model.train(enable_progress_bar=False, **options)
    return model.get_denoised


def _scvi(task: Task) -> Callable[[], np.ndarray]:
    import scvi

    scvi.settings.seed = 0
    scvi.model.SCVI.setup_anndata(adata := ad.AnnData(task.train.astype(np.float32)))
    model = scvi.model.SCVI(adata, gene_likelihood="nb")
    model.train(accelerator="gpu", enable_progress_bar=False)
    return lambda: to_library(model.get_normalized_expression(return_numpy=True), library_size(task.train))


METHODS: dict[str, Callable[[Task], Callable[[], np.ndarray]]] = {
    "ICM, GPU": lambda task: _icm(task, accelerator="gpu"),
    "ICM, CPU": lambda task: _icm(task, accelerator="cpu"),
    "scVI, GPU": _scvi,
    "ICM, GPU, bf16-mixed": lambda task: _icm(task, accelerator="gpu", precision="bf16-mixed"),
}


def measure(names: list[str], methods: list[str], *, directory: Path | None) -> Iterator[dict[str, Any]]:
    """Seconds, memory of the GPU and held-out loss of each method on each data set; the kernels are warm."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    _icm(make_task(load("pbmc68k", None), "held-out", seed=0), accelerator="auto", max_epochs=2)()
    for name in names:
        task = make_task(load(name, directory), "held-out", seed=0)
        pooled = _loss(np.asarray(task.train.sum(0) / task.train.sum()) * library_size(task.train), task)
        for method in methods:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            denoise, fit = measured(partial(METHODS[method], task))
            expected, denoised = measured(denoise)
            yield {
                "dataset": name,
                "method": method,
                "cells": task.train.shape[0],
                "genes": task.train.shape[1],
                "fit_s": fit.seconds,
                "denoise_s": denoised.seconds,
                "gpu_mb": torch.cuda.max_memory_allocated() / 2**20,
                "drop": pooled - _loss(expected, task),
            }
