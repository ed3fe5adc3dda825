"""artifact-sync mirrors GitLab CI job artifacts into storage of your own, before they expire."""

__all__ = ["__version__"]

#: The package's version, which pyproject.toml takes from here: to ask for that of what is installed takes 30 ms.
__version__ = "0.1.0"
