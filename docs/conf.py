"""Configuration of the documentation. It builds without a network: see ``nitpick_ignore_regex``."""

from __future__ import annotations

import importlib
import inspect
import os
import shutil
from pathlib import Path

from sphinx.ext.napoleon.docstring import NumpyDocstring

import scif

HERE = Path(__file__).parent

project = "scif"
author = "The scif developers"
copyright = f"2026, {author}"
version = release = scif.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
nitpicky = True

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are committed as they ran: `make notebooks`
nb_output_stderr = "remove"  # the trainer's chatter
suppress_warnings = ["mystnb.unknown_mime_type"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False  # every name in __all__, and no other, has a page
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = True
napoleon_google_docstring = False
napoleon_use_rtype = True

html_theme = "sphinx_book_theme"
html_title = "scif"
html_static_path = ["_static"]
html_css_files = ["scif.css"]
html_theme_options = {"show_navbar_depth": 1, "show_toc_level": 2}

intersphinx_mapping = {}
if "READTHEDOCS" in os.environ:  # inventories need a network
    intersphinx_mapping = {
        "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
        "lightning": ("https://lightning.ai/docs/pytorch/stable/", None),
        "matplotlib": ("https://matplotlib.org/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/docs/", None),
        "python": ("https://docs.python.org/3/", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "scvi-tools": ("https://docs.scvi-tools.org/en/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }

# Names of other projects, which resolve through their inventories where a network is there.
_FOREIGN = (
    "anndata|collections|dask|enum|h5py|lightning|mudata|np|nn|numpy|os|pandas|pathlib|pd|scipy|scvi|sparse|torch|"
    "typing|zarr"
)
_BUILTIN = "[a-z]+|[A-Z][a-z]+(Error|Warning|Exception)|optional|default.*"
nitpick_ignore_regex = [
    (r"py:.*", rf"({_FOREIGN})\..*"),
    (r"py:.*", rf"({_BUILTIN})"),
    (
        r"py:.*",
        r"(AnnData|Any|ArrayLike|Axes|Callable|DTypeLike|Figure|Generator|Iterable|Iterator|Mapping|Module|MuData|NDArray)",
    ),
    (r"py:class", r"scif\.model\.\w+\.\w+Mixin"),  # base classes that hold a part of a public class
    (r"py:class", r"scif\.(.*\.)?_.*"),  # private names, such as type variables and protocols in annotations
    (r"py:.*", r"scif\.counts\.\w+\..*"),  # the parts of the method have no pages
    (r"py:.*", r"(\w+Config|CountDataset|CountConsistency|CountSettings|Estimator|Fit|FitOptions)"),
    (r"py:.*", r"(DataFrame|Series|Sequence|Tensor|device|dtype|csr_matrix|Path|PathLike|Self)"),
]

# Names of types that only annotations use.
nitpick_ignore = [
    ("py:class", "Scale"),
    ("py:class", "TimeFunction"),
    ("py:class", "scif.fields.fluids.chain.InUnits"),
    ("py:class", "scif.core.engine.running.Checkpoint"),
]

MODULES = [
    "core",
    "nn",
    "model",
    "counts",
    "fields.images",
    "fields.fluids",
    "datasets",
    "modelfile",
    "metrics",
    "pp",
    "pl",
    "report",
    "cli",
]


def _public_names() -> dict[str, str]:
    """Where each public class and function is documented, by its bare name."""
    names = {}
    for module in (f"scif.{name}" for name in MODULES):
        loaded = importlib.import_module(module)
        names |= {name: f"{module}.{name}" for name in loaded.__all__ if callable(getattr(loaded, name))}
    return names


def _resolve(app, env, node, contnode):
    """Lead a reference by bare name, or to where a class is defined, to the page of its public name."""
    *_, owner, name = ("", *node.get("reftarget", "").split("."))
    if not owner and (current := node.get("py:class")):  # an inherited member
        bases = inspect.getmro(_public_object(current.split(".")[-1]))
        owner = next((base.__name__ for base in bases if name in vars(base) and base.__name__ in _PUBLIC), "")
    public = f"{_PUBLIC[owner]}.{name}" if owner[:1].isupper() and owner in _PUBLIC else _PUBLIC.get(name)
    if public is None:
        return None
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, contnode)


def _skip(app, what, name, obj, skip, options):
    """Leave out inherited members, but for those of base classes that have no page of their own."""
    public = app.env.docname.rpartition(".")[2]
    if what != "class" or public not in _PUBLIC or not inspect.isclass(documented := _public_object(public)):
        return None
    owner = next((base for base in inspect.getmro(documented) if name in vars(base)), documented)
    ours = owner.__module__.startswith("scif.") and owner.__name__ not in _PUBLIC
    return None if owner is documented or ours else True


def _public_object(name: str):
    module, _, name = _PUBLIC[name].rpartition(".")
    return getattr(importlib.import_module(module), name)


def _prose_returns(self, preprocess_types=False):
    """What a function returns is told in prose; its type stands in the signature."""
    lines = self._dedent(self._consume_to_next_section())
    return [("", "", self.__class__(lines, self._config).lines())]


def _prose_attribute(self):
    """The same for a property, whose first line may contain a colon."""
    return "", self.__class__(self._dedent(self._consume_to_end()), self._config).lines()


NumpyDocstring._consume_returns_section = _prose_returns
NumpyDocstring._consume_inline_attribute = _prose_attribute
_PUBLIC = _public_names()
shutil.copytree(HERE.parent / "tutorials", HERE / "tutorials" / "notebooks", dirs_exist_ok=True)


def setup(app) -> None:
    """Register the resolution of names and the choice of members."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _resolve)
