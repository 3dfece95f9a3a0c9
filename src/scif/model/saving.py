"""Saving and loading a count model: tensors as safetensors, everything else as JSON; nothing is unpickled."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS

from scif import modelfile
from scif.core.noise import Multinomial, NegativeBinomial, NoiseModel, Poisson
from scif.counts.config import CountConfig
from scif.counts.data.dataset import CountDataset
from scif.counts.encoder import EncoderFactory, encoder_name
from scif.counts.fit import Fit
from scif.counts.frozen import flatten, restore
from scif.counts.options import FitOptions
from scif.counts.posterior.estimate import estimate
from scif.counts.posterior.parameters import Parameters
from scif.counts.report import FitReport
from scif.counts.settings import CountSettings
from scif.model.checks import named
from scif.model.modality import modality_with
from scif.model.registry import as_json, from_json

__all__ = ["FILE", "KIND", "SaveMixin"]

#: Name of the model file in its folder, and what the file says it holds.
FILE, KIND = "model.scif", "model.ICM"
_ADATA, _PICKLE = "adata.h5ad", "model.pt"


class SaveMixin:
    """Model files are data."""

    def save(
        self,
        dir_path: str | Path,
        prefix: str | None = None,
        overwrite: bool = False,
        save_anndata: bool = False,
        **anndata_write_kwargs: Any,
    ) -> None:
        """Save the model to a folder.

        The file appears under its name only when it is complete. If saving fails or is killed, an earlier model stays
        intact.

        Parameters
        ----------
        dir_path
            Folder; it is created if it does not exist.
        prefix
            Prefix of the file names.
        overwrite
            Replace an existing model.
        save_anndata
            Also write the data to the folder.
        **anndata_write_kwargs
            Arguments of :meth:`anndata.AnnData.write_h5ad`.

        Raises
        ------
        FileExistsError
            If the folder has a model and ``overwrite`` is False.
        """
        folder, before = _place(dir_path, prefix)
        path = folder / f"{before}{FILE}"
        if path.exists() and not overwrite:
            msg = f"{str(path)!r} exists; choose another folder or pass overwrite=True."
            raise FileExistsError(msg)
        self._check_if_trained(warn=False)  # type: ignore[attr-defined]
        folder.mkdir(parents=True, exist_ok=True)
        if save_anndata:
            if self.adata is None:  # type: ignore[attr-defined]
                msg = "this model was loaded without data; save it with save_anndata=False."
                raise ValueError(msg)
            temporary = folder / f".{before}{_ADATA}.{os.getpid()}"
            try:
                self.adata.write_h5ad(temporary, **anndata_write_kwargs)  # type: ignore[attr-defined]
                temporary.replace(folder / f"{before}{_ADATA}")
            finally:
                temporary.unlink(missing_ok=True)
        tensors, facts = self._contents()
        modelfile.write(path, kind=KIND, tensors=tensors, facts=facts, overwrite=overwrite)

    def _contents(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors and facts of a trained model."""
        model: Any = self
        settings, fit = model.settings, model._fit
        tensors = {f"network.{name}": value.detach().cpu() for name, value in model.module.network.state_dict().items()}
        more, parameters = flatten(model.module.fitted, prefix="fitted.")
        noise, inverse_dispersion = _noise_facts(settings.noise)
        if inverse_dispersion is not None:
            tensors["noise.inverse_dispersion"] = inverse_dispersion
        facts = {
            "noise": noise,
            "encoder": None if settings.encoder is None else encoder_name(settings.encoder),
            "settings": {name: getattr(settings, name) for name in _SETTINGS},
            "config": as_json(settings.config),
            "width": model.module.network.width,
            "options": {name: getattr(model._options, name) for name in _OPTIONS},
            "parameters": parameters,
            "registry": as_json(model.registry_),
            "genes": model.gene_names_,
            "factor_unit": model.factor_unit_,
            "collapse": as_json(model.collapse_),
            "report": fit.report.to_json(),
            "stage_seed": fit.seed,
            "history": {name: _curve(curve) for name, curve in fit.history.items()},
            "trained_on": {"cells": int(model.summary_stats.n_cells), "genes": len(model.gene_names_)},
        }
        return tensors | more, facts

    @classmethod
    def load(
        cls,
        dir_path: str | Path,
        adata: AnnData | bool | None = None,
        accelerator: str = "auto",
        device: int | str = "auto",
        prefix: str | None = None,
        *,
        encoder: EncoderFactory | None = None,
    ) -> Any:
        """Load a model saved by :meth:`save`.

        Parameters
        ----------
        dir_path
            Folder of the model.
        adata
            Data to use; it is set up like the model's data. None loads the data saved in the folder; False loads no
            data.
        accelerator
            Where to put the model; ``"auto"`` uses a GPU if there is one.
        device
            Number of the device; ``"auto"`` uses the first.
        prefix
            Prefix of the file names.
        encoder
            Encoder, if the model was made with your own; files hold data, never code.

        Raises
        ------
        ValueError
            If the model needs an ``encoder`` that is not given, or if ``encoder`` is given but not needed.
        ModelFileError
            If there is no model, or if its file is damaged, is a pickle, or has another class or schema.
        """
        folder, before = _place(dir_path, prefix)
        path = folder / f"{before}{FILE}"
        if not (adata is None or adata is False or isinstance(adata, AnnData | MuData)):
            msg = (
                f"adata is {adata!r}; pass an AnnData or MuData, None for the data beside the model, or False for none."
            )
            raise TypeError(msg)
        chosen = _device(accelerator, device)
        _check_present(folder, path, before)
        contents = modelfile.read(path, kind=KIND)
        _check_encoder(encoder, contents.facts.get("encoder"), path)
        if adata is None and (folder / f"{before}{_ADATA}").exists():
            adata = ad.read_h5ad(folder / f"{before}{_ADATA}")
        with modelfile.refuse_errors(path):
            genes = [str(gene) for gene in contents.facts["genes"]]
        found = modality_with(adata, genes)
        data = found if isinstance(found, AnnData) else None
        with modelfile.refuse_errors(path):
            registry = from_json(contents.facts["registry"])
            arguments = dict(registry["setup_args"])
            settings = replace(_settings(contents), encoder=encoder)
        if data is not None:
            _check_batches(data, registry, arguments.get("batch_key"))
            cls.setup_anndata(data, source_registry=registry, **arguments)  # type: ignore[attr-defined]
        with modelfile.refuse_errors(path):
            model = cls._restored(data, registry, settings, contents)
        model.to_device(chosen)
        return model

    @classmethod
    def _restored(cls, data: AnnData | None, registry: dict[str, Any], settings: CountSettings, contents: Any) -> Any:
        facts, tensors = contents.facts, contents.tensors
        names = ("n_latent", "n_hidden", "dropout_rate", "residual", "start", "seed", "config", "encoder")
        chosen = {name: getattr(settings, name) for name in names}
        model: Any = cls(data, settings.noise, **chosen, registry=registry)  # type: ignore[call-arg]
        batches = int(model.summary_stats.n_batch)
        module = settings.build(len(model.gene_names_), num_batches=batches, width=facts["width"])
        state = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
        module.network.load_state_dict(state)
        module.fitted = restore(Parameters, tensors, facts["parameters"], prefix="fitted.")
        history = {name: _frame(name, curve) for name, curve in facts["history"].items()}
        model._fit = Fit(module.eval(), FitReport.from_json(facts["report"]), history, seed=facts["stage_seed"])
        model._options = FitOptions(**facts["options"])
        model.module, model.history_, model.is_trained_ = module, history, True
        model.gene_names_ = [str(gene) for gene in facts["genes"]]
        model.factor_unit_, model.collapse_ = facts["factor_unit"], from_json(facts["collapse"])
        _try_out(model)
        return model


_SETTINGS = ("n_latent", "n_hidden", "dropout_rate", "residual", "start", "seed")
_OPTIONS = ("anchor_weight", "consistency", "consistency_weight", "num_steps", "batch_size", "held_out")


def _place(dir_path: Any, prefix: Any) -> tuple[Path, str]:
    """Folder and beginning of names, which stay in that folder."""
    if not isinstance(dir_path, str | Path) or not str(dir_path).strip():
        msg = f"dir_path is {dir_path!r}; pass the path of a folder."
        raise ValueError(msg)
    if prefix is not None and (not isinstance(prefix, str) or Path(f"{prefix}x").name != f"{prefix}x"):
        msg = f"prefix is {prefix!r}; pass the beginning of a file's name, without a slash."
        raise ValueError(msg)
    if Path(dir_path).is_file():
        msg = f"dir_path {str(dir_path)!r} is a file; pass the folder of a model."
        raise modelfile.ModelFileError(msg)
    return Path(dir_path), prefix or ""


def _check_batches(data: AnnData, registry: dict[str, Any], key: str | None) -> None:
    """Refuse cells of batches that the model has not seen."""
    if key is None or key not in data.obs:
        return
    state = registry["field_registries"][REGISTRY_KEYS.BATCH_KEY]["state_registry"]
    known = [str(name) for name in state["categorical_mapping"]]
    column = pd.Series(np.asarray(data.obs[key]))  # of a data frame, or of the table of read_lazy
    unseen = sorted(set(column.dropna().astype(str)) - set(known))
    if unseen:
        msg = f"adata.obs[{key!r}] has batches the model has not seen: {named(unseen)}; it knows {named(known)}."
        raise ValueError(msg)


def _try_out(model: Any) -> None:
    """Denoise one cell, so that parts which do not fit together, or are no numbers, are met at loading."""
    genes = model.gene_names_
    if len(set(genes)) < len(genes) or type(model._fit.seed) is not int or not isinstance(model.collapse_, dict | None):
        msg = "genes repeat, or a fact is of another type"
        raise ValueError(msg)
    unit = model.factor_unit_
    if unit is not None and (not isinstance(unit, float) or not 0 < unit < float("inf")):
        msg = f"factor_unit is {unit!r}"
        raise ValueError(msg)
    batch = np.zeros(1, dtype=np.int64) if int(model.summary_stats.n_batch) > 1 else None
    cell = CountDataset(np.ones((1, len(genes)), dtype=np.float32), batch=batch)[[0]]
    module = model.module
    with torch.inference_mode():
        values = estimate(module.network, module.fitted, cell, kind="mean")
    if tuple(values.shape) != (1, len(genes)) or not bool(values.isfinite().all()):
        msg = "its parameters are not finite"
        raise ValueError(msg)


def _settings(contents: modelfile.ModelFile) -> CountSettings:
    noise = contents.facts["noise"]
    channel: str | NoiseModel = noise
    if noise == "NegativeBinomial":
        channel = NegativeBinomial(contents.tensors["noise.inverse_dispersion"])
    elif noise in ("Poisson", "Multinomial"):
        channel = Poisson() if noise == "Poisson" else Multinomial()
    config: CountConfig = from_json(contents.facts["config"])
    if not isinstance(config, CountConfig):
        msg = f"its configuration is a {type(config).__name__}"
        raise TypeError(msg)
    return CountSettings(channel, **contents.facts["settings"], config=config)


def _check_encoder(encoder: EncoderFactory | None, name: str | None, path: Path) -> None:
    if name is not None and encoder is None:
        msg = f"The model of {str(path)!r} was made with your own encoder, {name}; pass it: load(..., encoder=...)."
        raise ValueError(msg)
    if name is None and encoder is not None:
        msg = f"encoder is {encoder!r}, but the model of {str(path)!r} has the default encoder; leave it out."
        raise ValueError(msg)


def _noise_facts(noise: str | NoiseModel) -> tuple[str, torch.Tensor | None]:
    if isinstance(noise, str):
        return noise, None
    if isinstance(noise, NegativeBinomial):
        return "NegativeBinomial", noise.inverse_dispersion.detach().cpu()
    return type(noise).__name__, None


def _check_present(folder: Path, path: Path, before: str) -> None:
    if path.exists():
        return
    if (folder / f"{before}{_PICKLE}").exists():
        msg = (
            f"{str(folder)!r} holds {_PICKLE}, a pickle of scvi-tools or of an earlier scif. Reading a pickle can run "
            f"code, so it is not opened. If you made it yourself: scif convert-model --trust {folder} NEW."
        )
        raise modelfile.ModelFileError(msg)
    msg = f"{str(folder)!r} has no {path.name}; pass the folder that model.save() was given."
    raise modelfile.ModelFileError(msg)


def _device(accelerator: str, device: int | str) -> torch.device:
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    kind = "cuda" if accelerator == "gpu" else accelerator
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind):
        has = ", ".join(repr(name) for name, found in there.items() if found)
        msg = f"accelerator is {accelerator!r}, but this machine has {has}; choose one of these, or 'auto'."
        raise ValueError(msg)
    return torch.device(kind) if device == "auto" or kind == "cpu" else torch.device(f"{kind}:{device}")


def _curve(curve: pd.DataFrame) -> dict[str, Any]:
    return {"epoch": [int(i) for i in curve.index], "value": as_json(curve.iloc[:, 0].astype(float).tolist())}


def _frame(name: str, curve: dict[str, list[float]]) -> pd.DataFrame:
    index = pd.Index(np.asarray(curve["epoch"], dtype=int), name="epoch")
    return pd.DataFrame({name: np.asarray(from_json(curve["value"]), dtype=float)}, index=index)
