"""Denoise an AnnData in one call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.model import ICM

__all__ = ["denoise"]


def denoise(
    adata: AnnData,
    layer: str | None = None,
    *,
    key_added: str = "denoised",
    batch_key: str | None = None,
    copy: bool = False,
    size_factor_key: str | None = None,
    estimator: Literal["mean", "transport"] = "mean",
    library_size: Literal["observed", "latent"] | float | None = None,
    transform_batch: Any = None,
    noise: Any = "poisson",
    max_epochs: int | None = None,
    accelerator: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> AnnData | None:
    """Train a model on counts, denoise them, and store the result in a layer.

    The counts are not changed. ``adata.uns["scif"]`` records the settings and is saved with the AnnData: ``version``,
    ``layer`` (the input; ``"X"`` if none was named), ``key_added``, ``scale``, ``estimator``, ``library_size``,
    ``noise``, ``transform_batch``, ``batch_key``, ``size_factor_key`` (``""`` if none was given), ``seed``,
    ``model_id`` (a hash of the weights), ``n_cells``, ``n_genes``, ``seconds``, and ``held_out_loss``, the Poisson loss
    of held-out molecules, in nats per molecule up to a constant of the data (missing if no molecules were held out).
    Records of other layers move to ``adata.uns["scif"]["earlier"]``.

    Use :class:`scif.model.ICM` to keep the model, to denoise new cells, or for standard errors.

    Parameters
    ----------
    adata
        Annotated counts, cells x genes.
    layer
        Layer with raw counts; default ``X``.
    key_added
        Name of the layer to write.
    batch_key
        Column of ``obs`` with the batch of each cell. Batch effects are modelled, but removed only with
        ``transform_batch``.
    copy
        Return a copy with the layer, and leave ``adata`` unchanged.
    size_factor_key
        Column of ``obs`` with positive size factors.
    estimator, library_size, transform_batch
        As in ``ICM.get_denoised``.
    noise, seed
        As in :class:`scif.model.ICM`.
    max_epochs, accelerator
        As in :meth:`scif.model.ICM.train`.
    progress
        Show a progress bar.

    Returns
    -------
    None or, with ``copy=True``, an AnnData with the new layer.

    Raises
    ------
    ValueError
        If the values are not counts, if ``key_added`` is the layer of the counts, or if an argument is invalid. Nothing
        is changed in these cases.

    Examples
    --------
    >>> import scif
    >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
    >>> scif.pp.denoise(adata, max_epochs=1)
    >>> adata.layers["denoised"].shape, adata.uns["scif"]["scale"]
    ((60, 40), 'counts')
    """
    if not isinstance(key_added, str) or not key_added.strip() or "/" in key_added:
        msg = f"key_added is {key_added!r}; give a name without a slash."
        raise ValueError(msg)
    if key_added == layer:
        msg = f"key_added is {key_added!r}, the layer of the counts; choose another name, counts are never overwritten."
        raise ValueError(msg)
    if estimator not in ("mean", "transport"):
        msg = f"estimator is {estimator!r}; choose 'mean' or 'transport'. Draws come from scif.model.ICM.get_denoised."
        raise ValueError(msg)
    from scif.model.record import record

    begin = time.perf_counter()
    keys = [key for key in (batch_key, size_factor_key) if key is not None]
    counts = _counts_alone(adata, layer, keys)
    model = _trained(
        counts,
        setup={"layer": layer, "batch_key": batch_key, "size_factor_key": size_factor_key},
        noise=noise,
        seed=seed,
        max_epochs=max_epochs,
        accelerator=accelerator,
        progress=progress,
    )
    result = model.get_denoised(
        estimator=estimator, library_size=library_size, transform_batch=transform_batch, silent=not progress
    )
    model.deregister_manager(counts)  # scvi-tools would keep the counts of every call
    said = {
        "layer": layer or "X",
        "key_added": key_added,
        "estimator": estimator,
        "batch_key": batch_key or "",
        "size_factor_key": size_factor_key or "",
        "transform_batch": "" if transform_batch is None else str(transform_batch),
        "seed": seed,
        "seconds": round(time.perf_counter() - begin, 3),
    }
    to = adata.copy() if copy else adata
    to.layers[key_added] = result
    _note(to, record(model, library_size=library_size) | said)
    return to if copy else None


def _note(adata: AnnData, new: dict[str, Any]) -> None:
    """Put a record where it is found, and keep those of other layers."""
    old = dict(adata.uns.get("scif", {}))
    earlier = dict(old.pop("earlier", {}))
    if "key_added" in old:
        earlier[str(old["key_added"])] = old
    earlier = {key: value for key, value in earlier.items() if key != new["key_added"] and key in adata.layers}
    adata.uns["scif"] = new | ({"earlier": earlier} if earlier else {})


def _counts_alone(adata: AnnData, layer: str | None, keys: list[str]) -> AnnData:
    """An AnnData of the same counts, not copied, for nothing of the caller's to be touched by the model."""
    from anndata import AnnData

    from scif.model.checks import named

    if not isinstance(adata, AnnData):
        msg = f"adata is a {type(adata).__name__}; pass an AnnData."
        raise TypeError(msg)
    if layer is not None and layer not in adata.layers:
        msg = f"layer={layer!r} is not in adata.layers, which has {named(filter(None, adata.layers))}."
        raise ValueError(msg)
    present = [key for key in keys if key in adata.obs]  # what is absent is named at setup
    values = adata.X if layer is None else adata.layers[layer]
    where: dict[str, Any] = {"X": values} if layer is None else {"layers": {layer: values}}
    return AnnData(obs=adata.obs[present].copy(), var=adata.var.copy(), **where)


def _trained(counts: AnnData, *, setup: dict[str, Any], noise: Any, seed: int, progress: bool, **training: Any) -> ICM:
    """A trained model."""
    from scif.model import ICM

    ICM.setup_anndata(counts, **setup)
    model = ICM(counts, noise=noise, seed=seed)
    model.train(enable_progress_bar=progress, **training)
    return model
