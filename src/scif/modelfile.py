"""Model files: weights as safetensors, everything else as JSON in the same file; reading one never runs code."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

__all__ = ["SCHEMA", "ModelFile", "ModelFileError", "read", "write"]

SCHEMA = 1
"""Version of the envelope; another one is refused by name."""

_LONGEST_HEADER = 100_000_000
"""Bytes of the header that safetensors itself allows."""


class ModelFileError(ValueError):
    """A file is no model file of the wanted kind, or it is damaged; the message names the file and the reason."""


@dataclass(frozen=True)
class ModelFile:
    """Contents of a model file."""

    tensors: dict[str, Tensor]
    """Tensors by name, on the CPU."""
    facts: dict[str, Any]
    """Everything else, as JSON data."""
    version: str
    """Version of scif that wrote the file."""


def write(
    path: str | Path, *, kind: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], overwrite: bool = False
) -> None:
    """Write a model file; a save that fails or is killed leaves an earlier file as it was.

    The bytes go to a temporary file in the same folder, which is flushed to disk and then renamed.

    Parameters
    ----------
    path
        The file to write, in a folder that exists.
    kind
        What the file holds, such as ``"images.ImageDenoiser"``; :func:`read` asks for the same.
    tensors
        Tensors by name; copied to the CPU.
    facts
        Everything else: JSON data with finite numbers.
    overwrite
        Whether an existing file is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is false.
    ModelFileError
        If a fact is not JSON data.

    Examples
    --------
    >>> import tempfile, torch
    >>> from scif import modelfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     modelfile.write(f"{folder}/a", kind="example", tensors={"w": torch.ones(2)}, facts={"genes": ["A"]})
    ...     modelfile.read(f"{folder}/a", kind="example").facts
    {'genes': ['A']}
    """
    import scif

    path = Path(path)
    if path.exists() and not overwrite:
        msg = f"the file {str(path)!r} exists; choose another path or pass overwrite=True."
        raise FileExistsError(msg)
    try:
        text = json.dumps(dict(facts), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        msg = f"facts of {str(path)!r} are not JSON data ({error}); pass finite numbers, text, lists and dicts."
        raise ModelFileError(msg) from error
    data = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    header = {"kind": kind, "schema": str(SCHEMA), "version": scif.__version__, "facts": text}
    header["checksum"] = _checksum(header, data)
    _replace(path, save_tensors(data, metadata=header))


def read(path: str | Path, *, kind: str) -> ModelFile:
    """Read a model file that :func:`write` wrote, after comparing its checksum.

    Parameters
    ----------
    path
        The file.
    kind
        What it should hold.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is damaged, cut, of another kind or schema, or no model file at all.
    """
    path = Path(path)
    if path.is_dir():
        _refuse(path, "it is a folder")
    raw = path.read_bytes()
    header = _header(path, raw)
    if header.get("kind") != kind:
        _refuse(path, f"it holds {header.get('kind')!r}, not {kind!r}")
    if header.get("schema") != str(SCHEMA):
        _refuse(path, f"its schema is {header.get('schema')!r} and this version of scif reads {SCHEMA!r}")
    try:
        tensors = load_tensors(raw)
    except Exception as error:  # noqa: BLE001 - any failure of the parser is a damaged file
        _refuse(path, f"its tensors cannot be read ({error})")
    if header.get("checksum") != _checksum(header, tensors):
        _refuse(path, "its checksum is wrong, so that the file is damaged")
    try:
        facts = json.loads(header["facts"])
    except (ValueError, KeyError, RecursionError) as error:
        _refuse(path, f"its facts cannot be read ({error})")
    if not isinstance(facts, dict):
        _refuse(path, f"its facts are a {type(facts).__name__}")
    return ModelFile(tensors, facts, header.get("version", ""))


def _refuse(path: Path, reason: str) -> NoReturn:
    msg = f"{str(path)!r} is no usable model file: {reason}. Save the model again, or copy the file again."
    raise ModelFileError(msg) from None


def _header(path: Path, raw: bytes) -> dict[str, str]:
    """Metadata of a safetensors file, whose declared shapes must agree with the bytes that there are."""
    size = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= size <= min(_LONGEST_HEADER, len(raw) - 8):
        _refuse(path, "it is cut short or of another format")
    try:
        entries = json.loads(raw[8 : 8 + size].decode())
    except (ValueError, RecursionError):
        _refuse(path, "its header is damaged")
    header = entries.pop("__metadata__", None) if isinstance(entries, dict) else None
    if not isinstance(header, dict) or not all(isinstance(value, str) for value in header.values()):
        _refuse(path, "it has no description by scif")
    for name, entry in entries.items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            _refuse(path, f"tensor {name!r} has no valid shape")
        if math.prod(shape) > len(raw):
            _refuse(path, f"tensor {name!r} declares shape {shape}, more than the file holds")
    return dict(header)


def _checksum(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the description and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256()
    for name in sorted(header.keys() - {"checksum"}):
        digest.update(json.dumps([name, header[name]]).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _replace(path: Path, raw: bytes) -> None:
    """Write bytes to a temporary file beside ``path``, flush them to disk, and rename."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
