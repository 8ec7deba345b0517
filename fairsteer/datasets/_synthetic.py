"""Samples of known subgroup Gaussians, to compare estimates with the truth."""

from itertools import product
from numbers import Integral
from string import ascii_lowercase

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state, check_scalar

from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.solvers._options import check_distribution

from ._base import make_bunch


def random_gaussians(n_labels=2, n_groups=2, n_features=2, random_state=None, *, n_samples=1000):
    """Draw well-conditioned Gaussians, one for each label and group.

    Means differ by label, by group and by both together; covariance eigenvalues lie in [0.5, 2];
    no prior is below half of the uniform prior.

    Parameters
    ----------
    n_labels, n_groups, n_features : int, default=2
        K, G and d, each at least 1.
    random_state : int, RandomState instance or None, default=None
        Seed of the parameters.
    n_samples : int, default=1000
        Sum of the counts: ``counts = priors * n_samples``.

    Returns
    -------
    SubgroupGaussians
        With labels 0 to K - 1 and groups "a", "b", ... (two letters each above 26 groups).
    """
    for name, value in [
        ("n_labels", n_labels),
        ("n_groups", n_groups),
        ("n_features", n_features),
        ("n_samples", n_samples),
    ]:
        check_scalar(value, name, Integral, min_val=1)
    rng = check_random_state(random_state)
    shape, d = (n_labels, n_groups), n_features
    uniform = 1 / (n_labels * n_groups)
    priors = (uniform + rng.dirichlet(np.ones(n_labels * n_groups)).reshape(shape)) / 2
    means = (
        rng.normal(size=(n_labels, 1, d))
        + rng.normal(size=(1, n_groups, d))
        + rng.normal(scale=0.5, size=(*shape, d))
    )
    axes = np.linalg.qr(rng.normal(size=(*shape, d, d))).Q
    variances = rng.uniform(0.5, 2.0, size=(*shape, 1, d))
    covariances = (axes * variances) @ axes.swapaxes(-1, -2)
    return SubgroupGaussians(
        labels=np.arange(n_labels),
        groups=_group_names(n_groups),
        priors=priors,
        means=means,
        covariances=(covariances + covariances.swapaxes(-1, -2)) / 2,
        counts=priors * n_samples,
    )


def make_gaussian_subgroups(
    n_samples, *, gaussians=None, n_labels=2, n_groups=2, n_features=2, random_state=None
):
    """Draw rows from a mixture with one Gaussian for each label and group.

    Parameters
    ----------
    n_samples : int
        Number of rows. The numbers of rows per label and group are multinomial.
    gaussians : SubgroupGaussians, optional
        The distribution to draw from; `n_labels`, `n_groups` and `n_features` are then ignored. By
        default a well-conditioned distribution is drawn.
    n_labels, n_groups, n_features : int, default=2
        Sizes of the drawn distribution, with labels 0, 1, ... and groups "a", "b", ...
    random_state : int, RandomState instance or None, default=None
        Seed of the drawn distribution and of the rows.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` : DataFrame with float64 columns ``x0``, ``x1``, ... and the column ``group``.
        ``target`` : Series ``label``. ``target_names`` : the labels as strings.
        ``sensitive_features`` : Series ``group``. ``frame`` : data and target.
        ``feature_names`` : the columns of data. ``gaussians`` : the distribution.
        ``conventions`` : one sentence. ``DESCR`` : a description.

    Raises
    ------
    ValueError
        If a size is below 1.
    TypeError
        If a size is not an integer, or `gaussians` is not a SubgroupGaussians.

    Examples
    --------
    >>> from fairsteer.datasets import make_gaussian_subgroups
    >>> sample = make_gaussian_subgroups(100, n_groups=3, random_state=0)
    >>> list(sample.data.columns)
    ['x0', 'x1', 'group']
    >>> sample.gaussians.means.shape
    (2, 3, 2)
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    rng = check_random_state(random_state)
    if gaussians is None:
        gaussians = random_gaussians(n_labels, n_groups, n_features, rng, n_samples=n_samples)
    check_distribution(gaussians)
    shape = np.shape(gaussians.priors)
    priors = np.ravel(gaussians.priors)
    subgroup = rng.choice(priors.size, size=n_samples, p=priors / priors.sum())
    label, group = np.unravel_index(subgroup, shape)

    factors = np.linalg.cholesky(gaussians.covariances)
    x = rng.normal(size=(n_samples, np.shape(gaussians.means)[-1]))
    for i, a in np.ndindex(shape):
        rows = (label == i) & (group == a)
        x[rows] = gaussians.means[i, a] + x[rows] @ factors[i, a].T

    data = pd.DataFrame(x, columns=[f"x{j}" for j in range(x.shape[1])])
    data["group"] = pd.Series(gaussians.groups[group])
    conventions = (
        f"{n_samples:,} rows drawn from one Gaussian for each label and group, none dropped; the "
        f"favorable label is the last, {gaussians.labels[-1]}."
    )
    return make_bunch(
        data,
        pd.Series(gaussians.labels[label], name="label"),
        "group",
        target_names=[str(name) for name in gaussians.labels],
        gaussians=gaussians,
        conventions=conventions,
        DESCR="Synthetic Gaussian subgroups: " + conventions,
    )


def _group_names(n_groups):
    """Return sorted names, all of the same length: a, b, ... or aa, ab, ..."""
    length = 1
    while len(ascii_lowercase) ** length < n_groups:
        length += 1
    names = product(ascii_lowercase, repeat=length)
    return np.array(["".join(name) for name, _ in zip(names, range(n_groups), strict=False)])
