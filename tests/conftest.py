"""Factories shared by the tests."""

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from fairsteer import SubgroupGaussians
from fairsteer.datasets._synthetic import random_gaussians

# Two threads on 3 x 3 matrices only wait for each other.
threadpool_limits(1)

settings.register_profile("fairsteer", max_examples=100, deadline=None)
settings.register_profile("deep", max_examples=20_000, deadline=None)

SLOW_EXAMPLES = ("fairsteer/audit/", "fairsteer/metrics/_refit.py", "fairsteer/metrics/_scorer.py")


def pytest_configure(config):
    """Take 100 examples, unless ``--hypothesis-profile=deep`` or another profile is asked for."""
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("fairsteer")


def examples(number, **options):
    """Return Hypothesis settings of a costly test: few examples, but all those of ``deep``."""
    if settings.default.max_examples > 100:
        return settings(**options)
    return settings(max_examples=number, **options)


def pytest_ignore_collect(collection_path, config):
    """Leave modules that are slow as a whole unread where slow tests are not wanted."""
    if "not slow" in config.option.markexpr and collection_path.suffix == ".py":
        lines = collection_path.read_text().splitlines()
        if any(line.startswith("pytestmark = ") and "mark.slow" in line for line in lines):
            return True
    return None


def pytest_collection_modifyitems(items):
    """Mark the examples in docstrings slow that fit a search or an audit."""
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.nodeid.startswith(SLOW_EXAMPLES):
            item.add_marker(pytest.mark.slow)


def tied_gaussians(n_labels, n_groups, n_features, seed):
    """Draw Gaussians whose covariance is shared by the labels of a group."""
    gaussians = random_gaussians(n_labels, n_groups, n_features, seed)
    return with_parts(
        gaussians,
        covariances=np.broadcast_to(gaussians.covariances[:1], gaussians.covariances.shape),
    )


def ill_conditioned(kind, condition, seed, n_features=4):
    """Draw Gaussians of 3 labels and 3 groups whose covariances have a large condition number.

    ``"direction"``: all are narrow in one direction; ``"axes"``: each is narrow in directions of
    its own; ``"far means"``: all are narrow in the same directions, unlike their means.
    """
    rng = np.random.default_rng(seed)
    gaussians = random_gaussians(3, 3, n_features, seed)
    means, covariances = gaussians.means, gaussians.covariances
    if kind == "axes":
        axes = np.linalg.qr(rng.normal(size=covariances.shape)).Q
        covariances = (axes * np.geomspace(1.0, 1.0 / condition, n_features)) @ axes.mT
    else:
        widths = np.ones(n_features)
        widths[-1] = condition**-0.5
        if kind == "far means":
            widths = np.geomspace(1.0, condition**-0.5, n_features)
        squeeze = np.linalg.qr(rng.normal(size=(n_features, n_features))).Q * widths
        covariances = squeeze @ covariances @ squeeze.T
        means = means if kind == "far means" else means @ squeeze.T
    return with_parts(gaussians, means=means, covariances=0.5 * (covariances + covariances.mT))


def with_parts(gaussians, **parts):
    """Copy a distribution with some of its arrays replaced."""
    names = ("labels", "groups", "priors", "means", "covariances", "counts")
    return SubgroupGaussians(**{name: parts.get(name, getattr(gaussians, name)) for name in names})


@pytest.fixture
def rng():
    """Seeded random numbers."""
    return np.random.default_rng(0)
