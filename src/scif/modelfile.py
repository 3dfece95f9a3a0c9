"""Model files: weights as safetensors and everything else as JSON in one file. Reading it never runs code."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

__all__ = ["SCHEMA", "ModelFile", "ModelFileError", "read", "refuse_errors", "write"]

SCHEMA = 1
"""Version of the file format. Files with another version are refused."""

_LONGEST_HEADER = 100_000_000
"""Bytes of the header that safetensors itself allows."""
_LONGEST_AXIS = 2**40
"""No axis of a tensor is longer, not even one of an empty tensor."""
_MOST_AXES = 32
"""No tensor has more axes."""
_NAME = re.compile(r"[\w.\- +:|]+", re.ASCII)
"""Names of tensors: nothing that could pass for a path."""
_HEADER = ("checksum", "facts", "kind", "schema", "version")


class ModelFileError(ValueError):
    """The file is damaged or not a model file of the expected kind. The message names the file and the reason."""


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
    """Write a model file. If saving fails or is killed, an earlier file stays intact.

    The contents are written to a temporary file in the same folder, flushed to disk, and then renamed.

    Parameters
    ----------
    path
        File to write, in an existing folder.
    kind
        Kind of contents, such as ``"images.ImageDenoiser"``; :func:`read` expects the same.
    tensors
        Tensors by name; they are copied to the CPU. Names may have letters, digits, spaces and ``. _ - + : |``.
    facts
        Everything else, as JSON data with finite numbers and strings as keys; tuples are read back as lists.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ModelFileError
        If ``facts`` is not JSON data, if a tensor has an invalid name or type, or if ``path`` is a folder.

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

    path = Path(os.path.realpath(path))  # the file behind a link, which stays a link
    if path.exists() and not path.is_file():
        msg = f"{str(path)!r} is not a plain file; choose another path."
        raise ModelFileError(msg)
    if path.exists() and not overwrite:
        msg = f"the file {str(path)!r} exists; choose another path or pass overwrite=True."
        raise FileExistsError(msg)
    try:
        _check_keys(facts)
        text = json.dumps(dict(facts), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"facts of {str(path)!r} are not JSON data ({error}); pass finite numbers, text, lists and dicts."
        raise ModelFileError(msg) from error
    for name in tensors:
        if not _is_name(name):
            msg = f"{name!r} cannot name a tensor in a file; use letters, digits and any of '. _ - + : |'."
            raise ModelFileError(msg)
    data = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    header = {"kind": kind, "schema": str(SCHEMA), "version": scif.__version__, "facts": text}
    header["checksum"] = _checksum(header, data)
    try:
        raw = save_tensors(data, metadata=header)
    except (KeyError, ValueError, TypeError) as error:
        msg = f"tensors of {str(path)!r} cannot be stored ({error}); convert them to a plain dtype such as float32."
        raise ModelFileError(msg) from error
    _replace(path, raw)


def read(path: str | Path, *, kind: str) -> ModelFile:
    """Read a model file written by :func:`write`, after checking its checksum.

    A file from a newer version of scif can be read if its schema is the same.

    Parameters
    ----------
    path
        The file.
    kind
        Expected contents.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is damaged or truncated, has another kind or schema, or is not a model file.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        _refuse(path, "it is a folder" if path.is_dir() else "it is not a plain file")
    raw = path.read_bytes()
    header = _header(path, raw)
    if header["schema"] != str(SCHEMA):
        _refuse(
            path,
            f"its schema is {header['schema']!r} and this version of scif reads {str(SCHEMA)!r}",
            f"Load it with scif {header['version']}, which wrote it, or train and save the model again.",
        )
    if header["kind"] != kind:
        _refuse(path, f"it holds {header['kind']!r}, not {kind!r}", "Load it with the class that saved it.")
    try:
        tensors = load_tensors(raw)
    except Exception as error:  # noqa: BLE001 - any failure of the parser is a damaged file
        _refuse(path, f"its tensors cannot be read ({error})")
    if header["checksum"] != _checksum(header, tensors):
        _refuse(path, "its checksum is wrong, so the file is damaged")
    try:
        facts = json.loads(header["facts"], parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"its facts cannot be read ({error})")
    if not isinstance(facts, dict):
        _refuse(path, f"its facts are a {type(facts).__name__}, not a dict")
    return ModelFile(tensors, facts, header["version"])


@contextmanager
def refuse_errors(path: str | Path) -> Iterator[None]:
    """Turn errors in building a model from a file into a :class:`ModelFileError`.

    A file with a valid checksum may still lack an entry or hold weights of another size.

    Parameters
    ----------
    path
        The file, for the message.
    """
    try:
        yield
    except ModelFileError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        ImportError,
        LookupError,
        MemoryError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        msg = f"{str(path)!r} is no usable model file: its contents do not fit together ({reason}). Save it again."
        raise ModelFileError(msg) from error


def _refuse(path: Path, reason: str, mend: str = "Save the model again, or copy the file again.") -> NoReturn:
    msg = f"{str(path)!r} is no usable model file: {reason}. {mend}"
    raise ModelFileError(msg) from None


def _header(path: Path, raw: bytes) -> dict[str, str]:
    """Metadata of a safetensors file, whose declared shapes must agree with the bytes that there are."""
    size = int.from_bytes(raw[:8], "little")
    if raw[:4] in (b"PK\x03\x04", b"\x80\x02}q") or raw[:2] in (b"\x80\x04", b"\x80\x05"):
        _refuse(path, "it is a pickle, which can run code", "Save the model with scif, which writes no pickles.")
    if len(raw) < 8 or not 2 <= size <= min(_LONGEST_HEADER, len(raw) - 8):
        _refuse(path, "it is truncated or has another format")
    try:
        entries = json.loads(raw[8 : 8 + size].decode())
    except (ValueError, RecursionError):
        _refuse(path, "its header is damaged")
    header = entries.pop("__metadata__", None) if isinstance(entries, dict) else None
    if not isinstance(header, dict) or not header.keys() >= {"kind", "schema"}:
        _refuse(path, "it has no description by scif", "Only files that scif saved can be loaded.")
    if sorted(header) != list(_HEADER) or not all(isinstance(value, str) for value in header.values()):
        _refuse(path, "its description is damaged")
    if not re.fullmatch(r"[0-9][\w.+!-]{0,63}", header["version"]):
        _refuse(path, f"its version {header['version'][:64]!r} is not one of scif")
    for name, entry in entries.items():
        _check_entry(path, name, entry, most=len(raw))
    return dict(header)


def _check_entry(path: Path, name: str, entry: Any, *, most: int) -> None:
    """Refuse a tensor with a path for a name, or with more numbers than the file has bytes."""
    if not _is_name(name):
        _refuse(path, f"it names a tensor {name[:64]!r}")
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        _refuse(path, f"tensor {name!r} has no valid shape")
    if len(shape) > _MOST_AXES or any(n > _LONGEST_AXIS for n in shape) or math.prod(shape) > most:
        _refuse(path, f"tensor {name!r} declares shape {str(shape)[:80]}, more than the file holds")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) < 1000 and ".." not in name and bool(_NAME.fullmatch(name))


def _check_keys(value: Any) -> None:
    """Refuse keys that JSON would turn into text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                msg = f"the key {key!r} is a {type(key).__name__}"
                raise TypeError(msg)
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no number"
    raise ValueError(msg)


def _checksum(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the description and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256()
    for name in sorted(header.keys() - {"checksum"}):
        digest.update(json.dumps([name, header[name]]).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _replace(path: Path, raw: bytes) -> None:
    """Write bytes to a temporary file beside ``path``, flush them to disk, and rename."""
    temporary = path.with_name(f".scif-{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
