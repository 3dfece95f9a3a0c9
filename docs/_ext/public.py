"""Public names and the pages that document them."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType

from groups import CLASS_GROUPS, MODULE_GROUPS, MODULES


def modules() -> dict[str, ModuleType]:
    """Public modules by name."""
    return {f"scif.{name}": importlib.import_module(f"scif.{name}") for name in MODULES}


def public_names() -> set[str]:
    """Full names of everything in the ``__all__`` of the public modules."""
    return {f"{module}.{name}" for module, loaded in modules().items() for name in loaded.__all__}


def page_of() -> dict[str, str]:
    """Full public name of each public class and function, by its bare name."""
    loaded = modules().items()
    return {name: f"{module}.{name}" for module, it in loaded for name in it.__all__ if callable(getattr(it, name))}


def page_of_class() -> dict[type, str]:
    """Full public name of each public class; names of two modules may be equal."""
    return {value: name for name in public_names() if inspect.isclass(value := public_object(name))}


def overrides() -> dict[str, str]:
    """Full public name of each public class, by the place of its definition (``scanpydoc`` links annotations by it)."""
    return {f"{it.__module__}.{it.__qualname__}": name for it, name in page_of_class().items()}


def public_object(full_name: str) -> object:
    """Object with a full public name."""
    module, _, name = full_name.rpartition(".")
    return getattr(importlib.import_module(module), name)


def owner_of(documented: type, member: str) -> type:
    """The base class that defines a member."""
    return next((base for base in inspect.getmro(documented) if member in vars(base)), documented)


def is_ours(base: type) -> bool:
    """Whether a class belongs to this package."""
    return base.__module__.split(".")[0] == "scif"


def members(full_name: str) -> set[str]:
    """Public methods and properties of a public class, inherited ones too.

    A class with groups by use documents all of them; another one those that this package defines.
    """
    documented = public_object(full_name)
    if not inspect.isclass(documented):
        return set()
    names = set()
    for name in dir(documented):
        value = inspect.getattr_static(documented, name)
        behaves = isinstance(value, (property, classmethod, staticmethod)) or inspect.isfunction(value)
        if name.startswith("_") or not behaves:
            continue
        if full_name in CLASS_GROUPS or is_ours(owner_of(documented, name)):
            names.add(name)
    return names


def group_errors() -> list[str]:
    """Errors of the groups by use: names that are missing, and names that are not public."""
    errors = []
    for module, groups in MODULE_GROUPS.items():
        listed = [name for names in groups.values() for name in names]
        public = set(importlib.import_module(module).__all__)
        errors += [f"{module}.{name} is in no group" for name in sorted(public - set(listed))]
        errors += [f"{module}.{name} is not public" for name in sorted(set(listed) - public)]
        errors += [f"{module}.{name} is listed twice" for name in set(listed) if listed.count(name) > 1]
    for owner, groups in CLASS_GROUPS.items():
        listed = [name for names in groups.values() for name in names]
        errors += [f"{owner}.{name} is in no group" for name in sorted(members(owner) - set(listed))]
        errors += [f"{owner}.{name} is not there" for name in listed if not hasattr(public_object(owner), name)]
    return errors


def directives() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Groups of the main classes, with the directive that documents each member."""

    def directive(owner: str, name: str) -> str:
        value = inspect.getattr_static(public_object(owner), name)
        if isinstance(value, property):
            return "autoproperty"
        return "automethod" if callable(getattr(public_object(owner), name)) else "autoattribute"

    return {
        owner: {title: [(name, directive(owner, name)) for name in names] for title, names in groups.items()}
        for owner, groups in CLASS_GROUPS.items()
    }


def inherited() -> dict[str, list[str]]:
    """Full names of members that a class inherits from another public class, by the name of the class."""
    pages = page_of_class()
    result = {}
    for full_name in public_names():
        documented = public_object(full_name)
        if full_name in CLASS_GROUPS or not inspect.isclass(documented):
            continue
        owners = {name: owner_of(documented, name) for name in sorted(members(full_name))}
        from_public = {n: o for n, o in owners.items() if o is not documented and o in pages}
        result[full_name] = [f"{pages[owner]}.{name}" for name, owner in from_public.items()]
    return {full_name: names for full_name, names in result.items() if names}
