"""The documentation site: ``sphinx-build -W -b html docs docs/_build/html``."""

import os
import re

# The examples fit small models, which several threads on busy cores slow down manyfold. The
# limit is read when the libraries load.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairsteer  # noqa: E402

project = "fairsteer"
copyright = "the fairsteer developers"
version = release = fairsteer.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"fairsteer {release}"
html_show_sphinx = False
default_role = "autolink"

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

numpydoc_show_class_members = False

# The reference of fairsteer.llm is written without its extra.
autodoc_mock_imports = ["torch"]

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("fairsteer",),
    "reference_url": {"fairsteer": None},
    "image_scrapers": ("matplotlib",),
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 60,
}


def escape_shapes(app, what, name, obj, options, lines):
    """Keep the ``n_features_in_`` of a shape from being read as a link."""
    lines[:] = [re.sub(r"\b(n_features_in)_(?=[,)])", r"\1\\_", line) for line in lines]


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what scikit-learn and the language give to every class."""
    module = getattr(getattr(obj, "fget", obj), "__module__", None)
    return skip or not str(module).startswith("fairsteer")


def setup(app):
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)
    app.connect("autodoc-skip-member", skip_foreign)
