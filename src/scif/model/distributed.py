"""Denoised counts over many machines: blocks of cells, computed by dask's workers, in one zarr store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
import zarr

from scif._extras import require
from scif.model.arguments import check_getter
from scif.model.fields import gene_order
from scif.model.fingerprint import fingerprint
from scif.model.icm import ICM
from scif.model.record import record
from scif.model.stream.block import BlockTask, counts_layer, denoise_block, values_of
from scif.model.stream.mixin import ENTRIES, check_layer
from scif.model.stream.parts import Parts
from scif.model.stream.task import hash_of_names

__all__ = ["denoise_distributed"]

#: Minibatches of a chunk of the zarr array (16 MB), and chunks of a block if its size is not given.
BATCHES, CHUNKS = 4, 8
#: Times that a block is tried again after an error; blocks of a worker that died are always tried again.
RETRIES = 2


def denoise_distributed(
    model: str | Path,
    counts: str | Path,
    target: str | Path,
    *,
    client: Any,
    layer: str = "denoised",
    estimator: Literal["mean", "transport"] = "mean",
    library_size: Literal["observed", "latent"] | float | None = None,
    transform_batch: Any = None,
    held_out: str | None = None,
    scale: float = 1.0,
    block_cells: int | None = None,
    overwrite: bool = False,
    resume: bool = True,
) -> pd.DataFrame:
    """Denoise the counts in a file with dask workers, which write blocks of cells into one zarr store.

    Each block consists of whole chunks of the store, so no two workers write to the same chunk. A block depends only on
    its cells. If a worker dies, the scheduler gives its block to another one; a block that is computed twice has the
    same values. Finished blocks are listed in ``NAME.parts`` next to the target. After an interruption, repeat the same
    call: finished blocks are not computed again. The target appears when it is complete. A worker computes one block at
    a time, whatever its number of threads.

    Parameters
    ----------
    model
        Folder of a model, saved with :meth:`ICM.save`. All workers need access to this path and the next two.
    counts
        ``.zarr`` or ``.h5ad`` file with counts of the model's genes, in any order.
    target
        Path that ends in ``.zarr``: a new file with ``obs``, ``var``, ``uns["scif"]`` and the layer.
    client
        ``distributed.Client`` of the cluster.
    layer
        Name of the layer.
    estimator, library_size, transform_batch
        As in :meth:`ICM.get_denoised`.
    held_out
        Layer with held-out molecules, as made by :func:`~scif.metrics.split_counts`. Their loss is computed block by
        block.
    scale
        Depth of the held-out counts relative to that of the denoised counts.
    block_cells
        Cells per block, rounded up to whole chunks of 4 million values; default eight chunks.
    overwrite
        Replace an existing target.
    resume
        Reuse finished blocks of an earlier run. If False, they are deleted.

    Returns
    -------
    Table with one row per block: ``start``, ``cells``, and the sums ``counts`` and ``denoised``. With ``held_out`` it
    also has the mean ``poisson_nll``; weight it by ``cells`` to get the mean over all cells.

    Raises
    ------
    ImportError
        If ``distributed`` or ``xarray`` are not installed.
    ValueError
        If the target has the wrong suffix or already exists, if genes are missing, or if finished blocks belong to
        another model, other counts or other arguments.

    Examples
    --------
    >>> import tempfile
    >>> from distributed import Client, LocalCluster
    >>> import scif
    >>> folder = tempfile.mkdtemp()
    >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
    >>> adata.write_zarr(f"{folder}/counts.zarr")
    >>> scif.model.ICM.setup_anndata(adata)
    >>> model = scif.model.ICM(adata)
    >>> model.train(max_epochs=1, enable_progress_bar=False)
    >>> model.save(f"{folder}/model")
    >>> paths = [f"{folder}/{name}" for name in ("model", "counts.zarr", "denoised.zarr")]
    >>> with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster, Client(cluster) as client:
    ...     scif.model.denoise_distributed(*paths, client=client).cells.sum()
    np.int64(60)
    """
    distributed = require("distributed", extra="dask", purpose="denoise_distributed")
    require("xarray", extra="dask", purpose="denoise_distributed")
    check_layer(layer, estimator, None)
    check_getter(estimator, library_size, 1, None, True)
    path = Path(target).absolute()
    _check_target(path, overwrite=overwrite)
    trained = ICM.load(model, adata=False)
    lazy = ad.experimental.read_lazy(counts)
    obs, var = lazy.obs.to_memory(), lazy.var.to_memory()
    gene_order(trained.gene_names_, var.index)
    choices = {"estimator": estimator, "library_size": library_size, "transform_batch": transform_batch}
    said = record(trained, library_size=library_size)
    said |= {"estimator": estimator, "transform_batch": "" if transform_batch is None else str(transform_batch)}
    said |= {"key_added": layer, "layer": counts_layer(trained) or "X"}
    shape, batch = (len(obs), len(var)), max(1, ENTRIES // max(len(var), 1))
    chunk = min(batch * BATCHES, shape[0]) if block_cells is None else min(batch * BATCHES, shape[0], block_cells)
    block = chunk * (CHUNKS if block_cells is None else -(-block_cells // chunk))
    known = {
        "counts": fingerprint(values_of(lazy, counts_layer(trained))),
        "names": hash_of_names(obs.index, var.index),
    }
    folder = path.with_name(f"{path.name}.parts")
    if not resume and (folder / "task.json").exists():
        shutil.rmtree(folder)
    finished = Parts(folder, said | known | {"block": block, "held_out": held_out, "scale": scale}, shape=shape)
    if not (folder / "whole.zarr").exists():
        _empty_store(folder, layer, obs=obs, var=var, said=said, chunks=(chunk, shape[1]))
    (folder / "blocks").mkdir(exist_ok=True)
    paths = [str(Path(path).absolute()) for path in (model, counts, folder)]
    task = BlockTask(paths[0], paths[1], paths[2], layer, batch, held_out, scale, choices)
    starts = range(0, shape[0], block)
    futures = [
        client.submit(denoise_block, task, i, min(i + block, shape[0]), retries=RETRIES, pure=False) for i in starts
    ]
    try:
        rows = [done.result() for done in distributed.as_completed(futures)]
    finally:
        client.cancel(futures)
    table = pd.DataFrame(rows).sort_values("start", ignore_index=True)
    assert table["start"].tolist() == list(starts)  # every block once
    if path.exists():
        path.replace(folder / "replaced.zarr")
    (folder / "whole.zarr").replace(path)
    finished.remove()
    return table


def _empty_store(
    folder: Path, layer: str, *, obs: Any, var: Any, said: dict[str, Any], chunks: tuple[int, int]
) -> None:
    """The store with all but the values; what no block has written reads as missing."""
    part = folder / "empty.zarr"
    if part.exists():
        shutil.rmtree(part)
    ad.AnnData(obs=obs, var=var, uns={"scif": said}).write_zarr(part)
    root = zarr.open_group(part, mode="r+")
    layers = root.require_group("layers")
    layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    array = layers.create_array(layer, shape=(len(obs), len(var)), dtype="float32", chunks=chunks, fill_value=np.nan)
    array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    if root.metadata.consolidated_metadata is not None:  # readers look there alone
        zarr.consolidate_metadata(root.store)
    part.replace(folder / "whole.zarr")


def _check_target(path: Path, *, overwrite: bool) -> None:
    if path.suffix != ".zarr":
        msg = f"target {path} does not end in .zarr; workers write one zarr store together."
        raise ValueError(msg)
    if not path.parent.is_dir():
        msg = f"the folder {path.parent} of target does not exist; create it first."
        raise FileNotFoundError(msg)
    if path.exists() and not overwrite:
        msg = f"target {path} exists already; choose another name or pass overwrite=True."
        raise ValueError(msg)
