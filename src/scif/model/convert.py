"""Models of scif before model files were data: the one place that opens a pickle, and only when told to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
import torch
from anndata import AnnData

from scif.core.noise import NoiseModel
from scif.counts.consistency import CountConsistency
from scif.counts.fit import Fit
from scif.counts.options import FitOptions
from scif.counts.posterior.parameters import Dispersion, Parameters
from scif.counts.recipe import STAGES
from scif.counts.report import FitReport
from scif.model.icm import ICM
from scif.modelfile import ModelFileError, refuse_errors

__all__ = ["PICKLE", "convert_model"]

#: Name of the pickle that scvi-tools, and scif before it, wrote.
PICKLE = "model.pt"
_SETTINGS = ("n_latent", "n_hidden", "dropout_rate", "residual", "start", "seed")


def convert_model(
    old: str | Path, new: str | Path, *, adata: AnnData | None = None, trust: bool = False, overwrite: bool = False
) -> None:
    """Convert a model that an earlier version of scif saved as a pickle.

    Opening a pickle can run any code that is in it. Convert only models that you made yourself; ask others for theirs
    in the new format. The network is kept unchanged. The later stages have changed since then, so they are fitted again
    to the counts, without training.

    Parameters
    ----------
    old
        Folder with ``model.pt``.
    new
        Folder for the new model, which :meth:`scif.model.ICM.load` can read. The counts are not copied to it.
    adata
        Counts that the model was trained on; by default ``adata.h5ad`` in the old folder.
    trust
        Confirm that you trust the source of the file.
    overwrite
        Replace a model in the new folder.

    Raises
    ------
    FileNotFoundError
        If there is no ``model.pt``, or no counts.
    ModelFileError
        If the file is not trusted, is damaged, or has another class; or if the model has batches, because their part of
        the network has changed.
    """
    path = Path(old) / PICKLE
    if not path.is_file():
        msg = f"{str(old)!r} has no {PICKLE}; pass the folder in which an earlier version of scif saved a model."
        raise FileNotFoundError(msg)
    if not trust:
        msg = (
            f"{str(path)!r} is a pickle: opening it can run any code that is in it. If you made it yourself, say so "
            "with --trust (trust=True); if not, ask for the model in the present format."
        )
        raise ModelFileError(msg)
    found = _unpickled(path)
    with refuse_errors(path):
        kind, setup = found["attr_dict"]["registry_"]["model_name"], found["attr_dict"]["registry_"]["setup_args"]
    if kind != "ICM":
        msg = f"{str(path)!r} holds a model of the class {kind}, not ICM; load it with the package that saved it."
        raise ModelFileError(msg)
    counts = _counts(Path(old), adata)
    ICM.setup_anndata(counts, **{key: setup.get(key) for key in ("layer", "batch_key", "size_factor_key")})
    with refuse_errors(path):
        model = _model(path, found, counts)
    model.refit(STAGES[0])
    model.save(new, overwrite=overwrite)


def _unpickled(path: Path) -> Mapping[str, Any]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        msg = f"{str(path)!r} cannot be opened ({type(error).__name__}: {error}); it is damaged or has another format."
        raise ModelFileError(msg) from error
    if not isinstance(found, dict) or not found.keys() >= {"model_state_dict", "var_names", "attr_dict"}:
        msg = f"{str(path)!r} is not a model of scvi-tools or scif; pass the folder that model.save() was given."
        raise ModelFileError(msg)
    return found


def _counts(old: Path, adata: AnnData | None) -> AnnData:
    if adata is not None:
        return adata.copy()
    if not (old / "adata.h5ad").exists():
        msg = f"{str(old)!r} has no adata.h5ad; name the counts that the model was trained on with --counts (adata=)."
        raise FileNotFoundError(msg)
    return ad.read_h5ad(old / "adata.h5ad")


def _model(path: Path, found: Mapping[str, Any], adata: AnnData) -> ICM:
    """The model with the old network, before the stages."""
    state, kept = found["model_state_dict"], found["attr_dict"]
    genes = [str(gene) for gene in found["var_names"]]
    if genes != [str(gene) for gene in adata.var_names]:
        msg = f"the counts have other genes, or in another order, than {str(path)!r}; pass those it was trained on."
        raise ModelFileError(msg)
    if len(state["network.batch_shift"]) > 1:
        key = kept["registry_"]["setup_args"].get("batch_key")
        msg = (
            f"{str(path)!r} is of a model with {len(state['network.batch_shift'])} batches, which its "
            f"network took as inputs, another way than the present one. Train a new model with batch_key={key!r}."
        )
        raise ModelFileError(msg)
    given = kept["init_params_"]["non_kwargs"]
    noise = given["noise"]
    if not isinstance(noise, str | NoiseModel):
        msg = f"noise of {str(path)!r} is a {type(noise).__name__}; train the model again."
        raise ModelFileError(msg)
    model: Any = ICM(adata, noise, **{name: given[name] for name in _SETTINGS if name in given})  # type: ignore[arg-type]
    width = int(state["network.components"].shape[1])
    module: CountConsistency = model.settings.build(len(genes), num_batches=1, width=width)
    weights = {name.removeprefix("network."): v for name, v in state.items() if name.startswith("network.")}
    weights["center"] = weights["center"] + weights.pop("batch_shift")[0] * weights["spread"]
    weights["batch_present"] = torch.ones(1, dtype=torch.bool)
    module.network.load_state_dict(weights)
    module.fitted = _parameters(state, residual=model.settings.residual)
    options = FitOptions()
    if float(state["prior_share"]) == 0.0:
        options = replace(options, consistency="none")
        warnings.warn(f"{str(path)!r} has no latent prior, so its training settings are unknown.", stacklevel=3)
    history = {name: pd.DataFrame(curve) for name, curve in kept["history_"].items()}
    model._fit = Fit(module.eval(), FitReport((), options.mode), history, seed=model.settings.seed)
    model._options, model.module, model.history_, model.is_trained_ = options, module, history, True
    return model


def _parameters(state: Mapping[str, torch.Tensor], *, residual: bool) -> Parameters:
    """The parameters that the first stage starts from."""
    dispersion = Dispersion(state["residual_shape"].float(), state["inverse_dispersion"].float())
    share = float(state["prior_share"])
    return Parameters(state["profile"].float(), dispersion, residual=residual, prior_share=share)
