"""A run of ``scif denoise`` that can be stopped and gone on with: its model and its finished rows in a folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scif.cli._training import train_as_asked

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.model import ICM

__all__ = ["append_in_parts", "trained", "work_folder"]

#: Options that decide what is trained.
DECIDE = ("layer", "batch_key", "size_factor_key", "noise", "seed", "max_epochs", "modality", "genome", "feature_type")


def work_folder(target: Path) -> Path:
    """Where a run keeps what it has."""
    return target.with_name(f"{target.name}.parts")


def trained(arguments: Namespace, adata: AnnData) -> ICM:
    """The model: that of the run that was stopped, or a new one, kept where ``--resume`` finds it."""
    say, folder = arguments.output_to, work_folder(arguments.output)
    options, saved = _options(arguments), folder / "model"
    if arguments.resume and (folder / "options.json").exists():
        old = json.loads((folder / "options.json").read_text(encoding="utf-8"))
        differs = next((key for key in options if old.get(key) != options[key]), None)
        if differs is not None:
            msg = (
                f"{folder} belongs to a run with another {differs}, {old.get(differs)!r} and not {options[differs]!r}; "
                "run it as before, or remove the folder to start again."
            )
            raise ValueError(msg)
        from scif.model import ICM

        say.say(f"{adata.n_obs} cells x {adata.n_vars} genes; going on with the model in {saved} ...")
        return ICM.load(str(saved), adata)
    model = train_as_asked(arguments, adata)
    if arguments.resume and not arguments.signals.received:
        folder.mkdir(exist_ok=True)
        model.save(str(saved), overwrite=True)
        part = folder / "options.json.tmp"  # the model is there once this is
        part.write_text(json.dumps(options, indent=1), encoding="utf-8")
        part.replace(folder / "options.json")
    return model


def append_in_parts(model: ICM, path: Path, arguments: Namespace) -> None:
    """Write the denoised counts as one layer more of a file, by way of finished rows on disk."""
    import h5py

    folder = work_folder(arguments.output)
    kept = folder / "rows" if arguments.resume else Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with h5py.File(path, "r+") as file:
            model.denoise_to(
                file,
                layer=arguments.output_layer,
                threshold=arguments.threshold,
                work=kept,
                silent=not arguments.output_to.progress,
            )
    finally:
        if not arguments.resume:
            shutil.rmtree(kept, ignore_errors=True)


def _options(arguments: Namespace) -> dict[str, Any]:
    """Options and the file of counts, as JSON data."""
    about = arguments.input.stat()
    given = {key: getattr(arguments, key) for key in DECIDE}
    return given | {"input": str(arguments.input.resolve()), "size": about.st_size, "changed": about.st_mtime_ns}
