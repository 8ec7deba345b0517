"""Data sets to try steering on: two fetched, one that comes with scikit-learn, one drawn."""

from ._adult import fetch_adult
from ._bundled import load_diabetes_progression
from ._compas import fetch_compas
from ._synthetic import make_gaussian_subgroups

__all__ = ["fetch_adult", "fetch_compas", "load_diabetes_progression", "make_gaussian_subgroups"]
