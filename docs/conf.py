"""The documentation as a site: the Markdown pages of the repository, and the Python interface from its docstrings.

The source directory is the repository, so that a link means the same here as on a code forge:
`sphinx-build -c docs . build/site`. No page asks another host for anything.
"""

import sys
from pathlib import Path

from townlet import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Townlet"
author = "Townlet"
version = release = __version__
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**.md", "docs/**.ipynb"]
exclude_patterns = [".*", "**/.*", "build", "dist", "venv", "src", "tests", "schedules"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "site_pages"]
nitpicky = True
default_role = "code"  # docstrings write `name`
suppress_warnings = ["myst.header"]  # the changelog's third level follows a version directly

myst_heading_anchors = 4  # a code forge gives each heading the same name
myst_links_external_new_tab = False
linkcheck_anchors = False

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
# Internal types in signatures have no page; links between pages, and to headings, are checked all the same.
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = f"Townlet {release}"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["townlet.css"]
