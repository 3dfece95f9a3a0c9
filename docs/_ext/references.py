"""Lead every reference to the page of its public name, and pick the members that a page documents."""

from __future__ import annotations

import inspect

from groups import DATA
from public import is_ours, owner_of, page_of, public_object

_PAGE = page_of()


def _public_target(target: str, current: str | None) -> str | None:
    """Public name of a target that is written as a bare name or as a member."""
    *_, owner, name = ("", *target.split("."))
    documented = public_object(_PAGE[current.split(".")[-1]]) if current else None
    if not owner and inspect.isclass(documented):  # a member of the class that the text is about
        owner = next((b.__name__ for b in inspect.getmro(documented) if name in vars(b) and b.__name__ in _PAGE), "")
        owner = owner or (documented.__name__ if hasattr(documented, name) else "")
    if owner[:1].isupper() and owner in _PAGE:
        return f"{_PAGE[owner]}.{name}"
    return _PAGE.get(name)


def resolve(app, env, node, contnode):
    """Resolve a missing Python reference."""
    page = node["refdoc"].rpartition(".")[2]  # summaries stand outside the class
    target = _public_target(node.get("reftarget", ""), node.get("py:class") or (page if page in _PAGE else None))
    if target is None:
        return None
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)


def skip(app, what, name, obj, skip, options):
    """Leave out inherited members, except those of our base classes that have no page of their own."""
    page = app.env.docname.rpartition(".")[2]
    if what != "class" or page not in _PAGE or not inspect.isclass(documented := public_object(_PAGE[page])):
        return None
    owner = owner_of(documented, name)
    return None if owner is documented or (is_ours(owner) and owner.__name__ not in _PAGE) else True


def describe(app, what, name, obj, options, lines):
    """Replace the docstring of the type of a value by one of its own."""
    if name in DATA:
        lines[:] = [DATA[name]]


def setup(app) -> dict[str, bool]:
    """Register all three."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", describe)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
