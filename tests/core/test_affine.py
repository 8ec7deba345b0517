import pickle

import numpy as np
import pytest

from fairsteer.core.affine import AffineMap, transport_map, transport_matrix
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import ill_conditioned, tied_gaussians

D = 4


@pytest.fixture
def maps(rng):
    return AffineMap(rng.normal(size=(2, 3, D, D)), rng.normal(size=(2, 3, D)))


def test_apply_inverse_and_compose(maps, rng):
    X = rng.normal(size=(10, D))
    first, second = maps[1, 2], maps[0, 1]
    np.testing.assert_allclose(first.apply(X), X @ first.matrix.T + first.offset, atol=1e-12)
    np.testing.assert_allclose(first.inverse().apply(first.apply(X)), X, atol=1e-9)
    composed = first.compose(second).apply(X)
    np.testing.assert_allclose(composed, first.apply(second.apply(X)), atol=1e-9)
    batch = maps.inverse().compose(maps)
    assert batch.shape == (2, 3)
    np.testing.assert_allclose(batch.matrix, np.broadcast_to(np.eye(D), (2, 3, D, D)), atol=1e-9)


def test_identity_returns_rows_exactly(rng):
    X = rng.normal(size=(50, D)) * 1e3
    assert np.array_equal(AffineMap.identity(D).apply(X), X)
    assert AffineMap.identity(D, (2, 3)).shape == (2, 3)


def test_partial_interpolates(maps, rng):
    X = rng.normal(size=(10, D))
    one = maps[0, 0]
    assert np.array_equal(one.partial(0.0).apply(X), X)
    np.testing.assert_allclose(one.partial(1.0).apply(X), one.apply(X), atol=1e-12)
    half = one.partial(0.5).apply(X)
    np.testing.assert_allclose(half, 0.5 * (X + one.apply(X)), atol=1e-12)


def test_pushforward_has_the_moments_of_mapped_rows(maps, rng):
    gaussians = random_gaussians(2, 3, D, 0)
    means, covariances = maps.pushforward(gaussians.means, gaussians.covariances)
    X = rng.multivariate_normal(gaussians.means[1, 2], gaussians.covariances[1, 2], size=1000)
    exact = maps[1, 2].pushforward(X.mean(axis=0), np.cov(X.T))
    mapped = maps[1, 2].apply(X)
    np.testing.assert_allclose(exact[0], mapped.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(exact[1], np.cov(mapped.T), atol=1e-9)
    assert means.shape == (2, 3, D)
    assert covariances.shape == (2, 3, D, D)


def test_transport_maps_a_gaussian_to_the_other():
    p, q = random_gaussians(2, 3, D, 1), random_gaussians(2, 3, D, 2)
    maps = transport_map(p.means, p.covariances, q.means, q.covariances)
    means, covariances = maps.pushforward(p.means, p.covariances)
    np.testing.assert_allclose(means, q.means, atol=1e-10)
    np.testing.assert_allclose(covariances, q.covariances, atol=1e-10)
    np.testing.assert_allclose(maps.matrix, np.swapaxes(maps.matrix, -1, -2), atol=1e-10)
    assert np.all(np.linalg.eigvalsh(maps.matrix) > 0)


@pytest.mark.parametrize("kind", ["direction", "axes"])
def test_transport_arrives_at_a_condition_of_1e10(kind):
    source, target = ill_conditioned(kind, 1e10, 0).covariances[:2, 0]
    matrix = transport_matrix(source, target)
    whiten = np.linalg.inv(np.linalg.cholesky(target))
    np.testing.assert_allclose(whiten @ matrix @ source @ matrix @ whiten.T, np.eye(4), atol=1e-4)


def test_transport_moves_less_than_any_other_map(rng):
    p, q = random_gaussians(1, 1, D, 3), random_gaussians(1, 1, D, 4)
    source, target = p.covariances[0, 0], q.covariances[0, 0]
    best = transport_matrix(source, target)

    def cost(matrix):
        return np.trace((matrix - np.eye(D)) @ source @ (matrix - np.eye(D)).T)

    root = np.linalg.cholesky(target) @ np.linalg.inv(np.linalg.cholesky(source))
    for _ in range(20):
        rotation = np.linalg.qr(rng.normal(size=(D, D))).Q
        factor = np.linalg.cholesky(source)
        other = root @ factor @ rotation @ np.linalg.inv(factor)
        np.testing.assert_allclose(other @ source @ other.T, target, atol=1e-10)
        assert cost(best) <= cost(other) + 1e-12


def test_transport_in_units_is_equivariant():
    p, q = random_gaussians(1, 2, D, 1), random_gaussians(1, 2, D, 2)
    units = np.array([1e-3, 1.0, 50.0, 1e4])
    outer = np.outer(units, units)
    plain = transport_map(p.means, p.covariances, q.means, q.covariances)
    scaled = transport_map(
        p.means * units, p.covariances * outer, q.means * units, q.covariances * outer, units
    )
    expected = units[:, None] * plain.matrix / units
    np.testing.assert_allclose(scaled.matrix, expected, rtol=1e-8)
    np.testing.assert_allclose(scaled.offset, plain.offset * units, rtol=1e-8)


def test_transport_between_equal_gaussians_is_exactly_the_identity():
    p = random_gaussians(2, 3, D, 1)
    maps = transport_map(p.means, p.covariances, p.means, p.covariances)
    assert np.array_equal(maps.matrix, np.broadcast_to(np.eye(D), maps.matrix.shape))
    assert not maps.offset.any()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(..., d, d\) and \(..., d\), got \(3, 3\) and \(2,\)"):
        AffineMap(np.eye(3), np.zeros(2))


def test_the_mean_of_maps_is_that_of_their_displacements(maps, rng):
    X, weights = rng.normal(size=(10, D)), rng.dirichlet(np.ones(2), size=10)
    expected = sum(weights[:, [i]] * (maps[i, 1].apply(X) - X) for i in range(2))
    np.testing.assert_allclose(maps[:, 1].mean_displacement(X, weights), expected, atol=1e-12)
    shared = AffineMap(np.broadcast_to(maps.matrix[:1], maps.matrix.shape), maps.offset)
    expected = sum(weights[:, [i]] * (shared[i, 1].apply(X) - X) for i in range(2))
    np.testing.assert_allclose(shared[:, 1].mean_displacement(X, weights), expected, atol=1e-12)
    one = maps[:1, 1].mean_displacement(X, np.ones((10, 1)))
    np.testing.assert_array_equal(one, maps[0, 1].displacement(X))


def test_only_maps_that_move_nothing_are_the_identity(maps):
    assert AffineMap.identity(D, (2, 3)).is_identity
    assert not maps.is_identity
    assert not AffineMap(np.eye(D), np.full(D, 1e-300)).is_identity


def test_labels_that_share_covariances_share_a_matrix_in_files_too():
    p, q = (tied_gaussians(3, 3, D, seed) for seed in (1, 2))
    maps = transport_map(p.means, p.covariances, q.means, q.covariances)
    for i, a in np.ndindex(3, 3):
        one = transport_map(p.means[i, a], p.covariances[i, a], q.means[i, a], q.covariances[i, a])
        np.testing.assert_allclose(maps[i, a].matrix, one.matrix, atol=1e-12)
        np.testing.assert_allclose(maps[i, a].offset, one.offset, atol=1e-12)
    frames = AffineMap(np.stack([2.0 * np.eye(D)] * 3), np.ones((3, D)))
    for shared in (maps, frames.compose(maps), pickle.loads(pickle.dumps(maps))):
        assert shared.matrix.strides[0] == 0
        assert shared.shape == (3, 3)
    assert len(pickle.dumps(maps)) < maps.matrix.nbytes
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(maps)).matrix, maps.matrix)


def test_equal_covariances_only_shift():
    p = random_gaussians(2, 3, D, 1)
    maps = transport_map(p.means, p.covariances, p.means + 1.0, p.covariances)
    assert np.array_equal(maps.matrix, np.broadcast_to(np.eye(D), maps.matrix.shape))
    np.testing.assert_allclose(maps.offset, 1.0, atol=1e-12)
