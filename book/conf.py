"""Sphinx's settings. `build.py` puts the pages beside this file's copy and starts Sphinx."""

import os
import sys
from importlib import resources
from pathlib import Path

import lfssd_nb

sys.path.insert(0, str(Path(__file__).parent))

project, author = "lfssd_nb", "the lfssd_nb authors"
version = release = lfssd_nb.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "mathml",
    "crosslinks",
    "docstrings",
    "pictures",
]
default_role = "py:obj"  # `name` in a docstring: a link where there is something to link to
templates_path: list[str] = []
exclude_patterns = ["notebooks/records/**", "**.txt"]

# Pages: the committed outputs are shown, nothing is executed.
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # formulas in claims, too
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4

# The reference: in the order of the files, signatures over several lines when they are long.
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # as written: a signature with <function factor> inside cannot be parsed
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "sphinx_book_theme"
html_title = "Make a neural network forget"
html_math_renderer = "mathml"
html_static_path = ["style.css", str(resources.files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf")]
html_css_files = ["style.css"]
html_copy_source = True
html_show_copyright = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "navbar_persistent": [],  # one search field, the sidebar's
    "use_download_button": True,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "show_navbar_depth": 1,
}
if repository := os.environ.get("LFSSD_BOOK_REPO"):
    html_theme_options |= {
        "repository_url": repository,
        "repository_branch": os.environ.get("LFSSD_BOOK_BRANCH", "main"),
        "path_to_docs": "",
        "use_repository_button": True,
        "launch_buttons": {
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
            "notebook_interface": "jupyterlab",
        },
    }
