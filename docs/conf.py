"""How Sphinx makes the documentation: ``tox -e docs``."""

from importlib.metadata import version as version_of

project = "Helix"
copyright = "the Helix maintainers"
release = version = version_of("helix-flows")

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"Helix {version}"
html_copy_source = False
html_show_sphinx = False
