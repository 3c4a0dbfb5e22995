# SPDX-License-Identifier: BSD-3-Clause
"""How the site is built: ``sphinx-build -W -n --keep-going -b html docs build/docs``, offline."""

import sys
from pathlib import Path

import matplotlib as mpl

import groupglm

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
mpl.use("agg")

project = "groupglm"
author = "the groupglm developers"
copyright = author  # noqa: A001 - Sphinx calls it so
version = release = groupglm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "math_svg",
    "page_code",
]
exclude_patterns = ["examples", "_templates"]
templates_path = ["_templates"]
nitpicky = True

# Single backticks in docstrings lead to what is documented and are literal otherwise: parameters.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", r".*")]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say the types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc writes them out
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery.ReadingOrder",
    "image_scrapers": ("gallery",),
    "ignore_repr_types": r"matplotlib\.(figure|axes)|groupglm\.plotting",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_math_renderer = "svg"
html_theme = "furo"
html_title = "groupglm"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"sidebar_hide_name": False, "top_of_page_buttons": []}
pygments_style = "friendly"
