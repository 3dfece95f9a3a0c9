"""Signature and docstring of everything public name the same parameters."""

from __future__ import annotations

import importlib
import inspect
import re
from enum import Enum

import pytest
from numpydoc.docscrape import NumpyDocString
from sphinx.pycode import ModuleAnalyzer

MODULES = ("core", "nn", "model", "fields.images", "fields.fluids", "datasets", "metrics", "pp", "pl", "report", "cli")


def public_callables():
    """Every function, class and public method, by its public name."""
    for module in MODULES:
        loaded = importlib.import_module(f"scif.{module}")
        for name in loaded.__all__:
            value = getattr(loaded, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{module}.{name}", value
            if not inspect.isclass(value):
                continue
            for method, function in inspect.getmembers(value, lambda member: callable(member)):
                ours = getattr(function, "__module__", None) or ""
                if not method.startswith("_") and ours.startswith("scif.") and not inspect.isclass(function):
                    yield f"{module}.{name}.{method}", function


CALLABLES = dict(public_callables())


def parameters(value) -> set[str]:
    """Names a caller can pass, without ``self`` and catch-alls."""
    if inspect.isclass(value) and issubclass(value, (Enum, Exception)):
        return set()
    try:
        signature = inspect.signature(value)
    except ValueError:
        return set()
    catch_all = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {p.name for p in signature.parameters.values() if p.kind not in catch_all} - {"self", "cls"}


def listed(text: str) -> set[str]:
    """Names under Parameters and Attributes (of a data class), without catch-alls and what fitting sets."""
    sections = NumpyDocString(text)
    entries = [*sections["Parameters"], *sections["Attributes"]]
    names = {name.strip() for entry in entries for name in (entry.name or entry.type).split(",")}
    return {name for name in names if not name.startswith("*") and not name.endswith("_")}


def described_fields(value) -> set[str]:
    """Names of the fields of a data class, or of one it extends, that have a docstring of their own."""
    fields = set()
    for base in inspect.getmro(value) if inspect.isclass(value) else ():
        if base.__module__.startswith("scif."):
            described = ModuleAnalyzer.for_module(base.__module__).find_attr_docs()
            fields |= {field for owner, field in described if owner == base.__name__}
    return fields


def is_method(name: str) -> bool:
    return name.removeprefix("fields.").count(".") == 2


@pytest.mark.parametrize("name", CALLABLES)
def test_docstring_and_signature_agree(name):
    value = CALLABLES[name]
    text = inspect.getdoc(value)
    assert text, f"{name} has no docstring"
    wanted, documented = parameters(value), listed(text)
    if documented:
        assert documented == wanted
    elif not is_method(name):  # a method in one line may use the words of its class
        absent = {p for p in wanted if not re.search(rf"\b{p}\b", text, re.IGNORECASE)} - described_fields(value)
        assert not absent, f"parameters missing from the docstring of {name}: {sorted(absent)}"
