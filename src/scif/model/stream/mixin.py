"""``denoise_to``: a layer straight into a file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import h5py
import numpy as np
import zarr
from anndata import AnnData
from scvi import REGISTRY_KEYS

from scif.core._check import is_number
from scif.model.record import record
from scif.model.stream.layer import check_group, link, local_folder
from scif.model.stream.parts import Parts
from scif.model.stream.task import hash_of_counts, hash_of_names

if TYPE_CHECKING:
    from scif.model.icm import ICM

__all__ = ["ENTRIES", "StreamMixin", "check_layer"]

#: Entries (cells x genes) of a minibatch on a processor, and minibatches of a file of finished rows (64 MB).
ENTRIES, BATCHES = 1_000_000, 16
#: Fewest cells of a minibatch on a GPU.
GPU_CELLS = 256


class StreamMixin:
    """Denoised layers in files."""

    def denoise_to(
        self,
        target: str | Path | h5py.Group | zarr.Group,
        adata: AnnData | None = None,
        *,
        layer: str = "denoised",
        estimator: Literal["mean", "transport"] = "mean",
        library_size: Literal["observed", "latent"] | float | None = None,
        transform_batch: Any = None,
        threshold: float | None = None,
        overwrite: bool = False,
        resume: bool = True,
        work: str | Path | None = None,
        silent: bool = False,
    ) -> None:
        """Write denoised counts to a file, in bounded memory. An interrupted run can be resumed.

        Finished rows are kept in a folder next to the target, ``NAME.parts``. After an interruption, repeat the call
        with the same model and counts: finished rows are not computed again. The target appears when it is complete,
        and the folder is deleted. Shortly before, both are on disk, so twice the size of the result is needed.

        Parameters
        ----------
        target
            A path that ends in ``.h5ad`` or ``.zarr``: the new file has ``obs``, ``var``, the layer, and a record of
            the settings in ``uns["scif"]``. Or the open root group (``h5py`` or ``zarr``) of an AnnData file with the
            same cells and genes: the layer is added to it.
        adata
            Cells to denoise; they may be new. By default the cells that the model was set up with.
        layer
            Name of the layer.
        estimator, library_size, transform_batch
            As in :meth:`get_denoised`.
        threshold
            Drop values below this number of counts, and write a sparse (CSR) layer. Cells then no longer sum to their
            library size. The threshold is recorded in the attributes of the layer and in ``uns["scif"]``. By default
            all values are kept in a dense layer.
        overwrite
            Replace an existing file or layer.
        resume
            Reuse finished rows of an earlier run. If False, they are deleted.
        work
            Folder for the finished rows; by default next to the target.
        silent
            Hide the progress bar.

        Raises
        ------
        ValueError
            If the target has the wrong suffix, already exists, or has other cells; if finished rows belong to another
            model, other counts or other arguments; if the disk is too full; or if an argument is invalid.

        Examples
        --------
        >>> import tempfile
        >>> import anndata
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata)
        >>> model.train(max_epochs=1, enable_progress_bar=False)
        >>> path = f"{tempfile.mkdtemp()}/denoised.h5ad"
        >>> model.denoise_to(path, threshold=0.01, silent=True)
        >>> anndata.read_h5ad(path).layers["denoised"].format
        'csr'
        """
        model = cast("ICM", self)
        check_layer(layer, estimator, threshold)
        folder = _work_folder(target, layer, work)
        data = model._data_for(adata)
        model._check_if_trained(warn=False)
        holder = _holder(model, data)
        if not isinstance(target, (str, Path)):
            check_group(target, layer, cells=holder.obs_names, genes=holder.var_names, overwrite=overwrite)
        elif Path(target).exists() and not overwrite:
            msg = f"target {target} exists already; choose another name or pass overwrite=True."
            raise ValueError(msg)
        counts = model._manager_for(data).get_from_registry(REGISTRY_KEYS.X_KEY)
        if not resume and (folder / "task.json").exists():
            shutil.rmtree(folder)
        said = record(model, library_size=library_size)
        said |= {"estimator": estimator, "transform_batch": "" if transform_batch is None else str(transform_batch)}
        if threshold is not None:
            said["threshold"] = float(threshold)
        names = hash_of_names(holder.obs_names, holder.var_names)
        task = said | {"counts": hash_of_counts(counts), "names": names, "cells": holder.n_obs}
        shape = (int(holder.n_obs), int(holder.n_vars))
        if threshold is None:
            _check_room(folder, shape)
        parts = Parts(folder, task, shape=shape, threshold=threshold)
        batch = max(1, ENTRIES // max(shape[1], 1))
        batch = batch if model.module.device.type == "cpu" else max(batch, GPU_CELLS)
        rows = np.arange(parts.done, shape[0])
        if len(rows):
            sink = _Sink(parts, rows, at_once=batch * BATCHES)
            model.get_denoised(
                data,
                rows,
                estimator=estimator,
                library_size=library_size,
                transform_batch=transform_batch,
                batch_size=batch,
                out=sink,
                silent=silent,
            )
            sink.flush()
        said |= {"key_added": layer, "layer": model.registry_["setup_args"].get("layer") or "X"}
        if isinstance(target, (str, Path)):
            _new_file(parts, Path(target), layer, obs=holder.obs, var=holder.var, said=said)
        else:
            link(parts, target, layer)
        parts.remove()


class _Sink:
    """Takes rows as an array does, and puts them on disk some at a time."""

    def __init__(self, parts: Parts, rows: np.ndarray, *, at_once: int) -> None:
        self.parts, self.next, self.at_once = parts, int(rows[0]), at_once
        self.shape = (len(rows), parts.shape[1])
        self._held: list[np.ndarray] = []

    def __setitem__(self, where: Any, values: np.ndarray) -> None:
        """Take the next rows; they come in order."""
        self._held.append(values)
        if sum(map(len, self._held)) >= self.at_once:
            self.flush()

    def flush(self) -> None:
        """Put on disk what is held."""
        if self._held:
            values = np.concatenate(self._held)
            self.parts.add(self.next, values)
            self.next, self._held = self.next + len(values), []


def _holder(model: ICM, data: Any) -> AnnData:
    """The AnnData that has the cells and genes."""
    found: AnnData = data
    return found


def check_layer(layer: str, estimator: str, threshold: float | None) -> None:
    """Refuse a layer that no file can hold, draws, and thresholds that are none."""
    if not isinstance(layer, str) or not layer.strip() or "/" in layer or layer in (".", "..", "X"):
        msg = f"layer is {layer!r}; give a name without a slash, other than 'X'."
        raise ValueError(msg)
    if estimator not in ("mean", "transport"):
        msg = f"estimator is {estimator!r}; choose 'mean' or 'transport'. Draws come from get_denoised."
        raise ValueError(msg)
    if threshold is not None and not (is_number(threshold) and 0 <= threshold < np.inf):
        msg = f"threshold is {threshold!r}; give a number of counts from zero on, or None to keep all values."
        raise ValueError(msg)


def _work_folder(target: Any, layer: str, work: str | Path | None) -> Path:
    """Folder of finished rows; everything that is wrong with a target is told here."""
    if isinstance(target, (str, Path)):
        path = Path(target)
        if path.suffix not in (".h5ad", ".zarr"):
            msg = f"target {path} ends in neither .h5ad nor .zarr; use one of these."
            raise ValueError(msg)
        if not path.parent.is_dir():
            msg = f"the folder {path.parent} of target does not exist; create it first."
            raise FileNotFoundError(msg)
        if path.exists() and path.is_dir() != (path.suffix == ".zarr"):
            msg = f"target {path} is a {'folder' if path.is_dir() else 'file'}; choose another name."
            raise ValueError(msg)
        return path.with_name(f"{path.name}.parts") if work is None else Path(work)
    if isinstance(target, h5py.Group):
        if target.file.mode == "r":
            msg = f"target, a group of {target.file.filename}, is open for reading; open it with h5py.File(path, 'r+')."
            raise ValueError(msg)
        return Path(f"{target.file.filename}.{layer}.parts") if work is None else Path(work)
    if isinstance(target, zarr.Group):
        folder = local_folder(target)
        return folder.with_name(f"{folder.name}.{layer}.parts") if work is None else Path(work)
    msg = f"target is a {type(target).__name__}; pass a path, or an h5py or zarr group."
    raise TypeError(msg)


def _check_room(folder: Path, shape: tuple[int, int]) -> None:
    """Refuse before anything is computed what will not fit on the disk."""
    there = sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
    need, free = 2 * 4 * shape[0] * shape[1] - there, shutil.disk_usage(folder.parent).free
    if need > free:
        msg = (
            f"target needs {need / 1e9:.2g} GB, including the finished rows, but {free / 1e9:.2g} GB are free on "
            "its disk; free some space, choose another place, or drop small values with threshold=0.01."
        )
        raise ValueError(msg)


def _new_file(parts: Parts, path: Path, layer: str, *, obs: Any, var: Any, said: dict[str, Any]) -> None:
    """A file under another name, renamed when it is complete."""
    own = obs.drop(columns=[name for name in obs if str(name).startswith("_scvi")])
    whole = AnnData(obs=own, var=var, uns={"scif": said})
    if path.suffix == ".h5ad":
        part = parts.folder / "whole.h5ad.tmp"
        whole.write_h5ad(part)
        with h5py.File(part, "r+") as file:
            link(parts, file, layer)
        with part.open("rb+") as done:
            os.fsync(done.fileno())
        part.replace(path)
        return
    part = parts.folder / "whole.zarr"
    if part.exists():
        shutil.rmtree(part)
    whole.write_zarr(part)
    link(parts, zarr.open_group(part, mode="r+"), layer)
    if path.exists():
        path.replace(parts.folder / "replaced.zarr")
    part.replace(path)
