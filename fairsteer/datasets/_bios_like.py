"""Rows like embeddings of biographies, for machines without network or language model."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state, check_scalar

from ._bios import FEMALE_SHARES, FREQUENCIES, GENDERS, PROFESSIONS

FIELDS = (
    ("chiropractor", "dentist", "dietitian", "nurse", "physician", "psychologist", "surgeon"),
    ("comedian", "composer", "dj", "model", "rapper"),
    ("filmmaker", "journalist", "painter", "photographer", "poet"),
    ("accountant", "attorney", "paralegal", "software_engineer"),
    ("architect", "interior_designer"),
    ("pastor", "professor", "teacher"),
    ("personal_trainer", "yoga_teacher"),
)
"""Professions whose centres lie near each other."""
MOST_SIGNAL = 40
"""Most axes that know of professions."""

# In standard deviations within a cell. Chosen so that a linear model's accuracy and gap, and what
# LEACE and matching means and covariances make of it, are like those published.
_FIELDS_APART = 2.2
_PROFESSIONS_APART = 2.5
_RARE_FURTHER_APART = 0.35
_TOWARDS_WOMEN = 0.2
_ASIDE = 0.9
_STRETCH = 0.7
_OTHER_STRETCH = 0.1
_GENDERS_APART = 0.8
_SPECTRUM = -0.75


def make_bios_like(n_samples=60_000, n_features=768, *, random_state=None):
    """Draw rows like embeddings of biographies: 28 professions, two genders.

    How often a profession and a woman in it occur is as published for Bias in Bios. The geometry
    is made up, the same for every seed, and such that linear classifiers show what is published of
    real embeddings: they tell professions apart in about four rows of five, women's true positive
    rate exceeds men's the more the more women a profession has, erasing the gender linearly
    hardly helps, and matching means and covariances between the genders helps by a third or more
    (``benchmarks/bios.py`` measures it).

    Parameters
    ----------
    n_samples : int, default=60000
        Number of rows. How many fall to each profession and gender is multinomial.
    n_features : int, default=768
        Dimensions, at least 2. Professions differ along 40 axes, or half as many as there are
        dimensions if these are fewer, which a rotation spreads over all features.
    random_state : int, RandomState instance or None, default=None
        Seed of the rows.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` : ndarray of shape (n_samples, n_features). ``target`` : Series ``profession`` of
        strings. ``sensitive_features`` : Series ``gender``, ``"female"`` or ``"male"``.
        ``target_names`` : the professions. ``female_shares`` : Series by profession, published.
        ``conventions`` : one sentence. ``DESCR`` : a description.

    Raises
    ------
    ValueError
        If a size is too small.
    TypeError
        If a size is not an integer.

    Notes
    -----
    Within a profession and gender rows follow a multivariate t law with 6 degrees of freedom. On
    some axes women's rows are stretched and on others men's, centres included. Women's centres
    lean, against men's, towards professions of their neighbourhood with more women, and somewhere
    of their own. One more axis separates the genders alike in all professions.

    References
    ----------
    De-Arteaga et al. (2019), "Bias in Bios: A Case Study of Semantic Representation Bias in a
    High-Stakes Setting", FAT*, for the shares of women. The card of the data set
    ``LabHC/bias_in_bios`` for the frequencies; it says that 46.1 per cent are women, to which the
    shares add up; they have not been recounted from the biographies.

    Examples
    --------
    >>> from fairsteer.datasets import make_bios_like
    >>> sample = make_bios_like(1000, 64, random_state=0)
    >>> sample.data.shape
    (1000, 64)
    >>> sample.target.value_counts().index[0]
    'professor'
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    check_scalar(n_features, "n_features", Integral, min_val=2)
    rng = check_random_state(random_state)
    profession = rng.choice(len(PROFESSIONS), size=n_samples, p=FREQUENCIES / FREQUENCIES.sum())
    woman = rng.uniform(size=n_samples) < FEMALE_SHARES[profession]
    X = rng.normal(size=(n_samples, n_features))
    X /= np.sqrt(rng.chisquare(6, size=(n_samples, 1)) / 4)

    world = _Geometry(n_features)
    side = np.where(woman, 0.5, -0.5)[:, None]
    inner, outer = X[:, : world.n_signal], X[:, world.n_signal :]
    inner += world.centres[profession]
    inner[:] = (inner @ world.axes * world.stretch**side) @ world.axes.T
    inner += side * world.leans[profession]
    outer *= world.scales * world.widths**side
    outer[:, :1] += _GENDERS_APART * side

    names = np.array(PROFESSIONS)
    conventions = (
        f"{n_samples:,} rows drawn, none dropped; no label is favorable, and gaps are those of "
        "the true positive rates of every profession."
    )
    return Bunch(
        data=X @ world.rotation,
        target=pd.Series(names[profession], name="profession"),
        sensitive_features=pd.Series(np.array(GENDERS)[woman.astype(int)], name="gender"),
        target_names=list(PROFESSIONS),
        female_shares=pd.Series(FEMALE_SHARES.copy(), index=names, name="female share"),
        conventions=conventions,
        DESCR="Rows like embeddings of biographies: " + conventions,
    )


class _Geometry:
    """What all rows have in common, drawn once and for all.

    Parameters
    ----------
    n_features : int
        Dimensions.
    """

    def __init__(self, n_features: int) -> None:
        rng = np.random.default_rng(0)
        d = self.n_signal = min(MOST_SIGNAL, n_features // 2)
        field = [next(k for k, of in enumerate(FIELDS) if name in of) for name in PROFESSIONS]
        fields = _FIELDS_APART * rng.normal(size=(len(FIELDS), d))
        # Were these no easier to recognise, their gaps would be lost in the noise.
        apart = _PROFESSIONS_APART * (FREQUENCIES[:, None] / 0.02) ** -_RARE_FURTHER_APART
        centres = fields[field] + apart * rng.normal(size=(len(PROFESSIONS), d))
        self.centres = (centres - FREQUENCIES @ centres) / np.sqrt(d)
        aside = rng.normal(size=(len(PROFESSIONS), d))
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        self.leans = _TOWARDS_WOMEN * self._towards_women() + _ASIDE * aside
        self.axes = np.linalg.qr(rng.normal(size=(d, d))).Q
        self.stretch = np.exp(_STRETCH * rng.normal(size=d))
        self.scales = (1.0 + np.arange(n_features - d)) ** _SPECTRUM
        self.widths = np.exp(_OTHER_STRETCH * rng.normal(size=n_features - d))
        self.rotation = np.linalg.qr(rng.normal(size=(n_features, n_features))).Q

    def _towards_women(self):
        """Return, for every profession, the way to its neighbours with more women, on average 0."""
        between = self.centres - self.centres[:, None]
        near = np.exp(-(between**2).sum(axis=2) / (3.0 * _PROFESSIONS_APART**2))
        np.fill_diagonal(near, 0.0)
        near /= near.sum(axis=1, keepdims=True)
        towards = near * (FEMALE_SHARES - FEMALE_SHARES[:, None])
        ways = 2.0 * np.einsum("ij,ijk->ik", towards, between)
        mixed = FREQUENCIES * FEMALE_SHARES * (1.0 - FEMALE_SHARES)
        return ways - mixed @ ways / mixed.sum()
