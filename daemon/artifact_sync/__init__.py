"""artifact-sync mirrors GitLab CI job artifacts into storage of your own, before they expire."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("artifact-sync")
