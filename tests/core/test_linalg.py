import numpy as np
import pytest

from fairsteer.core import linalg as _linalg
from fairsteer.datasets._synthetic import random_gaussians


@pytest.fixture
def batch():
    return random_gaussians(2, 3, 4, 0).covariances


def test_roots_on_batches(batch):
    root, inverse = _linalg.sqrtm(batch), _linalg.invsqrtm(batch)
    np.testing.assert_allclose(root @ root, batch, atol=1e-12)
    np.testing.assert_allclose(inverse @ root, np.broadcast_to(np.eye(4), batch.shape), atol=1e-12)
    np.testing.assert_allclose(root, root.mT, atol=1e-12)
    np.testing.assert_allclose(_linalg.inv_spd(batch) @ batch, inverse @ root, atol=1e-10)
    np.testing.assert_allclose(_linalg.logdet(batch), np.log(np.linalg.det(batch)), atol=1e-12)


def test_symmetrize(rng):
    matrix = rng.normal(size=(2, 3, 3))
    np.testing.assert_allclose(_linalg.symmetrize(matrix), (matrix + matrix.mT) / 2)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_positive_definite_beyond_rounding(batch, scale):
    units = np.array([scale, 1.0, 1.0, 1.0])
    matrix = batch[0, 0] * np.outer(units, units)
    assert _linalg.is_spd(matrix)
    doubled = np.vstack([np.eye(4), np.eye(4)[:1]])
    assert not _linalg.is_spd(doubled @ matrix @ doubled.T)
    assert not _linalg.is_spd(-matrix)
    assert not _linalg.is_spd(np.array([[1.0, 2.0], [2.0, 1.0]]))
    among = batch * np.outer(units, units)
    assert _linalg.is_spd(among)
    among[-1, -1] *= -1.0
    assert not _linalg.is_spd(among)


def test_symmetric_in_the_units_of_each(batch):
    batch = batch * np.array([1e-8, 1.0, 1e8])[: batch.shape[1], None, None]
    assert _linalg.is_symmetric(batch)
    for a in range(batch.shape[1]):
        lopsided = batch.copy()
        lopsided[-1, a, 0, 1] *= 1.0 + 1e-5
        assert not _linalg.is_symmetric(lopsided)


def test_dependent_features_are_found(rng):
    for units in (1.0, np.array([1e-6, 1.0, 1e6, 1.0, 1e3, 1.0])):
        rows = rng.normal(size=(50, 6))
        rows[:, 4] = 2.0 * rows[:, 1] - 0.01 * rows[:, 3]
        covariance = np.cov((rows * units).T)
        assert _linalg.find_dependent(covariance) == [1, 3, 4]
        assert _linalg.find_dependent(covariance[:4, :4]) == []
        covariance[2] = covariance[:, 2] = 0.0
        assert _linalg.find_dependent(covariance) == [2]
    few = np.cov(rng.normal(size=(4, 6)).T)
    assert _linalg.find_dependent(few) == [0, 1, 2, 3]
