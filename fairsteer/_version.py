"""The version of fairsteer."""

__version__ = "0.1.0"
