"""The channel has equal distributions in all groups, and no better one exists."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from fairsteer.core.affine import AffineMap
from fairsteer.core.channels import channel_target, gaussian_channel
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.solvers import nearest_ideal


def random_law(rng, n_labels, n_groups, n_features, condition=100.0):
    """Draw a distribution in which labels share a covariance within the group."""
    roots = []
    for _ in range(n_groups):
        turn, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
        spread = np.geomspace(1.0, np.sqrt(rng.uniform(1.0, condition)), n_features)
        roots.append(turn * spread)
    roots = np.array(roots)
    covariances = roots @ roots.transpose(0, 2, 1)
    away = rng.normal(size=(n_labels, n_groups, n_features)) * rng.uniform(0.3, 2.0)
    means = np.einsum("ajk,iak->iaj", roots, away) + 3.0 * rng.normal(size=(n_groups, n_features))
    return SubgroupGaussians(
        labels=np.arange(n_labels),
        groups=np.arange(n_groups),
        priors=rng.dirichlet(np.full(n_labels * n_groups, 5.0)).reshape(n_labels, n_groups),
        means=means,
        covariances=np.broadcast_to(covariances, (n_labels, *covariances.shape)),
        counts=np.full((n_labels, n_groups), 100.0),
    )


def random_gram(rng, size, rank=None):
    root = rng.normal(size=(size, size if rank is None else rank))
    return root @ root.T


def differences_between_groups(law):
    scale = np.sqrt(np.einsum("jj->j", law.covariances[0, 0]))
    means = np.abs((law.means - law.means[:, :1]) / scale).max()
    spreads = np.abs((law.covariances - law.covariances[:, :1]) / np.outer(scale, scale)).max()
    return max(means, spreads)


def sizes(rng):
    n_labels, n_groups = rng.integers(2, 6), rng.integers(2, 5)
    return n_labels, n_groups, rng.integers(n_labels - 1, 21)


@pytest.mark.parametrize("seed", range(10))
def test_given_the_label_all_groups_have_one_distribution(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        law = random_law(rng, *sizes(rng), condition=1e4)
        channel = gaussian_channel(law, rng.integers(law.n_groups))
        assert differences_between_groups(channel.pushforward()) < 1e-10
        grams = _grams(law)
        slack = np.linalg.eigvalsh(grams - channel.target.gram).min(axis=1)
        assert np.all(slack > -1e-12 * np.linalg.norm(grams, axis=(1, 2)))
        assert -1e-9 < channel.target.gap < 1e-6
        assert channel.noise.shape[-1] <= law.n_labels - 1


def _grams(law):
    whiten = np.linalg.inv(np.linalg.cholesky(law.covariances[0]))
    contrasts = np.linalg.qr((np.eye(law.n_labels) - 1.0 / law.n_labels)[:, :-1])[0]
    differences = np.einsum("ajk,iak,ic->ajc", whiten, law.means, contrasts)
    return differences.transpose(0, 2, 1) @ differences


def test_without_the_noise_or_with_more_information_it_fails():
    rng = np.random.default_rng(1)
    law = random_law(rng, 3, 3, 4)
    channel = gaussian_channel(law, 0)
    means, covariances = channel.maps.pushforward(law.means, law.covariances[:1])
    assert np.abs(covariances - covariances[:, :1]).max() > 0.01
    more = channel.target.gram + 0.01 * np.trace(channel.target.gram) * np.outer([1, 0], [1, 0])
    assert np.linalg.eigvalsh(_grams(law) - more).min() < -1e-6
    assert_allclose(means, channel.pushforward().means)


@pytest.mark.slow
@pytest.mark.parametrize("n_labels", [2, 3])
def test_no_other_affine_channel_keeps_more(n_labels):
    rng = np.random.default_rng(n_labels)
    law = random_law(rng, n_labels, 2, 3)
    grams = _grams(law)
    found = np.linalg.slogdet(channel_target(grams).gram)[1]

    # Any matrix below both, as M_1 minus a square, pulled below M_2 by the largest factor.
    def best_below(values):
        root = values.reshape(grams[0].shape)
        kept = np.linalg.inv(np.linalg.inv(grams[0]) + root @ root.T)
        factor = min(1.0, 1.0 / np.linalg.eigvals(np.linalg.solve(grams[1], kept)).real.max())
        return -np.linalg.slogdet(factor * kept)[1]

    others = [
        minimize(best_below, rng.normal(size=grams[0].size), method="Nelder-Mead").fun
        for _ in range(100)
    ]
    assert -min(others) <= found + 1e-6
    assert -min(others) >= found - 1e-2


@pytest.mark.parametrize("n_groups", [3, 4])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_dual_bound_is_reached(n_groups, size):
    rng = np.random.default_rng(size)
    grams = np.array([random_gram(rng, size) for _ in range(n_groups)])
    target = channel_target(grams)
    assert np.linalg.eigvalsh(target.multipliers).min() > -1e-9
    bound = np.einsum("ajk,akj->", target.multipliers, grams)
    bound -= np.linalg.slogdet(target.multipliers.sum(axis=0))[1] + size
    assert np.linalg.eigvalsh(grams - target.gram).min() > -1e-12
    assert abs(bound - np.linalg.slogdet(target.gram)[1]) < 1e-6
    # Any other multipliers give a bound that is not smaller.
    others = target.multipliers + 0.1 * np.array([random_gram(rng, size) for _ in grams])
    loose = np.einsum("ajk,akj->", others, grams)
    loose -= np.linalg.slogdet(others.sum(axis=0))[1] + size
    assert loose > bound


def test_two_labels_keep_the_smallest_distance():
    grams = np.array([3.0, 1.0, 2.0]).reshape(3, 1, 1)
    assert channel_target(grams).gram == pytest.approx(1.0)


def test_the_smallest_of_ordered_matrices_is_kept():
    rng = np.random.default_rng(0)
    least = random_gram(rng, 3)
    grams = np.array([least + random_gram(rng, 3), least, least + random_gram(rng, 3)])
    assert_allclose(channel_target(grams).gram, least, rtol=1e-12)


def test_contrasts_that_one_group_does_not_tell_apart_are_given_up():
    rng = np.random.default_rng(3)
    grams = np.array([random_gram(rng, 3, rank=2), random_gram(rng, 3), random_gram(rng, 3)])
    target = channel_target(grams)
    assert np.linalg.matrix_rank(target.gram, tol=1e-8) == 2
    assert np.linalg.eigvalsh(grams - target.gram).min() > -1e-9
    nothing = np.array([random_gram(rng, 2, rank=1) for _ in range(2)])
    with pytest.raises(ValueError, match="no contrast"):
        channel_target(nothing)


def test_the_least_informative_reference_stays():
    law = random_law(np.random.default_rng(5), 2, 3, 4)
    least = int(np.argmin(_grams(law).ravel()))
    channel = gaussian_channel(law, least)
    assert not channel.blurred[least]
    assert channel.maps[least].is_identity
    assert channel.blurred.sum() == 2
    other = gaussian_channel(law, (least + 1) % 3)
    assert other.blurred[(least + 1) % 3]


def test_units_and_rotations_of_the_features_do_not_matter():
    rng = np.random.default_rng(6)
    law = random_law(rng, 3, 3, 4)
    change = AffineMap(rng.normal(size=(4, 4)) + 3.0 * np.eye(4), rng.normal(size=4))
    means, covariances = change.pushforward(law.means, law.covariances[:1])
    moved = SubgroupGaussians(
        law.labels,
        law.groups,
        law.priors,
        means,
        np.broadcast_to(covariances, law.covariances.shape),
        law.counts,
    )
    assert_allclose(
        gaussian_channel(moved, 0).target.gram, gaussian_channel(law, 0).target.gram, rtol=1e-9
    )


def test_rows_arrive_with_the_moments_that_are_stated(rng):
    law = random_law(np.random.default_rng(7), 3, 2, 3)
    channel = gaussian_channel(law, 1)
    n, label, group = 200_000, 2, 0
    rows = rng.multivariate_normal(law.means[label, group], law.covariances[label, group], n)
    moved = channel.apply(rows, np.zeros(n, dtype=int), rng.normal(size=(n, channel.n_draws)))
    expected = channel.pushforward()
    scale = np.sqrt(np.diag(expected.covariances[label, group]))
    assert np.abs((moved.mean(axis=0) - expected.means[label, group]) / scale).max() < 0.02
    spread = np.cov(moved.T) - expected.covariances[label, group]
    assert np.abs(spread / np.outer(scale, scale)).max() < 0.03


def test_the_divergence_is_at_least_that_of_the_nearest_ideal_distribution():
    law = random_law(np.random.default_rng(8), 3, 2, 3)
    nearest = nearest_ideal(law, intervention="all_subgroups")
    assert gaussian_channel(law, 0).kl_divergence >= nearest.kl_divergence


def test_one_label_or_group_is_refused():
    law = random_law(np.random.default_rng(0), 2, 2, 2)
    alone = SubgroupGaussians(
        law.labels,
        law.groups[:1],
        law.priors[:, :1] / law.priors[:, :1].sum(),
        law.means[:, :1],
        law.covariances[:, :1],
        law.counts[:, :1],
    )
    with pytest.raises(ValueError, match="2 groups"):
        gaussian_channel(alone, 0)
