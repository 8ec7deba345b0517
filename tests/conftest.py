"""Factories shared by the tests."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fairsteer import SubgroupGaussians
from fairsteer.datasets._synthetic import random_gaussians

# Two threads on 3 x 3 matrices only wait for each other.
threadpool_limits(1)


def tied_gaussians(n_labels, n_groups, n_features, seed):
    """Draw Gaussians whose covariance is shared by the labels of a group."""
    gaussians = random_gaussians(n_labels, n_groups, n_features, seed)
    return with_parts(
        gaussians,
        covariances=np.broadcast_to(gaussians.covariances[:1], gaussians.covariances.shape),
    )


def with_parts(gaussians, **parts):
    """Copy a distribution with some of its arrays replaced."""
    names = ("labels", "groups", "priors", "means", "covariances", "counts")
    return SubgroupGaussians(**{name: parts.get(name, getattr(gaussians, name)) for name in names})


@pytest.fixture
def rng():
    """Seeded random numbers."""
    return np.random.default_rng(0)
