"""Data sets: three are downloaded, one comes with scikit-learn, two are drawn."""

from ._adult import fetch_adult
from ._bios import fetch_bias_in_bios
from ._bios_like import make_bios_like
from ._bundled import load_diabetes_progression
from ._compas import fetch_compas
from ._synthetic import make_gaussian_subgroups

__all__ = [
    "fetch_adult",
    "fetch_bias_in_bios",
    "fetch_compas",
    "load_diabetes_progression",
    "make_bios_like",
    "make_gaussian_subgroups",
]
