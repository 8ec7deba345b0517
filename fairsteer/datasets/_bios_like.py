"""Rows like embeddings of biographies, for use without network or language model."""

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
"""Professions whose centers are close to each other."""
MOST_SIGNAL = 40
"""Largest number of axes along which professions differ."""

# In standard deviations within a subgroup. Accuracy and gap of a linear model, also after LEACE and
# after matching means and covariances, are then close to published values.
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

    The frequencies of professions and of women within them are those published for Bias in Bios.
    The geometry is artificial and the same for every seed. It reproduces published results on real
    embeddings: linear classifiers predict the profession of about four rows of five, women's true
    positive rate exceeds men's the more, the more women a profession has, erasing the gender
    linearly barely reduces these gaps, and matching means and covariances between the genders
    reduces them by a third or more (see ``benchmarks/bios.py``).

    Parameters
    ----------
    n_samples : int, default=60000
        Number of rows. The numbers of rows per profession and gender are multinomial.
    n_features : int, default=768
        Dimensions, at least 2. Professions differ along 40 axes, at most half of the dimensions,
        which a rotation spreads over all features.
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
    Within a profession and gender, rows follow a multivariate t distribution with 6 degrees of
    freedom. Women's rows are stretched along some axes and men's along others, centers included.
    Compared with men's centers, women's are shifted toward nearby professions with more women, and
    in a random direction. Another axis separates the genders equally in all professions.

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
    inner += world.centers[profession]
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
    """The geometry that all rows share, drawn with a fixed seed.

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
        # Rare professions are easier to recognize, so that their gaps exceed the noise.
        apart = _PROFESSIONS_APART * (FREQUENCIES[:, None] / 0.02) ** -_RARE_FURTHER_APART
        centers = fields[field] + apart * rng.normal(size=(len(PROFESSIONS), d))
        self.centers = (centers - FREQUENCIES @ centers) / np.sqrt(d)
        aside = rng.normal(size=(len(PROFESSIONS), d))
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        self.leans = _TOWARDS_WOMEN * self._towards_women() + _ASIDE * aside
        self.axes = np.linalg.qr(rng.normal(size=(d, d))).Q
        self.stretch = np.exp(_STRETCH * rng.normal(size=d))
        self.scales = (1.0 + np.arange(n_features - d)) ** _SPECTRUM
        self.widths = np.exp(_OTHER_STRETCH * rng.normal(size=n_features - d))
        self.rotation = np.linalg.qr(rng.normal(size=(n_features, n_features))).Q

    def _towards_women(self):
        """Return the shift of professions toward nearby ones with more women, on average 0."""
        between = self.centers - self.centers[:, None]
        near = np.exp(-(between**2).sum(axis=2) / (3.0 * _PROFESSIONS_APART**2))
        np.fill_diagonal(near, 0.0)
        near /= near.sum(axis=1, keepdims=True)
        toward = near * (FEMALE_SHARES - FEMALE_SHARES[:, None])
        ways = 2.0 * np.einsum("ij,ijk->ik", toward, between)
        mixed = FREQUENCIES * FEMALE_SHARES * (1.0 - FEMALE_SHARES)
        return ways - mixed @ ways / mixed.sum()
