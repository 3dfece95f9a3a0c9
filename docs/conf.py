"""Configuration of the documentation. It builds without a network: see ``_ext/inventories.py``."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path

from sphinx.ext.napoleon.docstring import NumpyDocstring

import scif

HERE = Path(__file__).parent
warnings.filterwarnings("ignore", message=".*_RstSnippetParser.*")  # sphinx-autodoc-typehints, of Sphinx 10
sys.path.insert(0, str(HERE / "_ext"))

import groups  # noqa: E402
import inventories  # noqa: E402
import public  # noqa: E402

project = "scif"
author = "The scif developers"
copyright = f"2026, {author}"
version = release = scif.__version__

extensions = [
    "myst_nb",
    "references",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_autodoc_typehints",
    "constants",  # after autodoc
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "scanpydoc.elegant_typehints",  # after sphinx_autodoc_typehints, whose reading of "Returns" it replaces
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "_templates", "figures", "generated/inventories"]
nitpicky = True

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "substitution"]
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
autosummary_context = {"class_groups": public.directives(), "inherited": public.inherited()}
autosummary_context["module_groups"] = groups.MODULE_GROUPS
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = True
always_use_bars_union = True
qualname_overrides = public.overrides()
typehints_document_rtype_none = False
napoleon_google_docstring = False
napoleon_use_rtype = True

html_theme = "sphinx_book_theme"
html_title = "scif"
html_static_path = ["_static"]
html_css_files = ["scif.css"]
html_theme_options = {"show_navbar_depth": 1, "show_toc_level": 2, "navbar_persistent": []}

intersphinx_mapping = inventories.write(HERE / "generated" / "inventories")
if "READTHEDOCS" in os.environ:  # a network is there
    intersphinx_mapping = inventories.online(intersphinx_mapping)

# Names that have no page: private ones, parts of the method, and names of projects without an inventory entry.
_FOREIGN = (
    "anndata|collections|dask|enum|h5py|lightning|mudata|np|nn|numpy|os|pandas|pathlib|pd|scipy|scvi|sparse|torch|"
)
_FOREIGN += "typing|zarr"
nitpick_ignore_regex = [
    (r"py:.*", rf"({_FOREIGN})\..*"),
    (r"py:class", r"scif\.model\.\w+\.\w+Mixin"),  # base classes that hold a part of a public class
    (r"py:class", r"scif\.(.*\.)?_.*"),  # private names, such as type variables and protocols in annotations
    (r"py:class", r"scif\.core\.objective\.trajectory\.Draw|scif\.core\.engine\.running\.Checkpoint"),
    (r"py:class", r"scif\.fields\.fluids\.chain\.\w+"),  # type aliases
    (r"py:.*", r"scif\.counts\.\w+\..*"),  # the parts of the method have no pages
    (r"py:.*", r"(optional|default.*|callable|array-like)"),
]


def _prose_attribute(self):
    """A property is told in prose, whose first line may contain a colon; its type stands in the signature."""
    return "", self.__class__(self._dedent(self._consume_to_end()), self._config).lines()


NumpyDocstring._consume_inline_attribute = _prose_attribute
shutil.copytree(HERE.parent / "tutorials", HERE / "tutorials" / "notebooks", dirs_exist_ok=True)
