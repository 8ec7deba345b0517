import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from fairsteer import estimate_gaussians
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.core.erasure import within_label_eraser
from fairsteer.core.linalg import sqrtm
from fairsteer.core.moments import subgroup_moments
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import examples

SEEDS = range(3)


def exact_moments(gaussians):
    """Return the moments of infinitely many rows, scaled to the counts."""
    return (
        gaussians.counts,
        gaussians.means,
        gaussians.counts[..., None, None] * gaussians.covariances,
    )


def draw(seed=0, n_labels=3, n_groups=3, n_features=8):
    return exact_moments(random_gaussians(n_labels, n_groups, n_features, seed))


def pooled(counts, scatters):
    return scatters.sum(axis=(0, 1)) / counts.sum()


def shared(seed=0, **sizes):
    """Return moments of subgroups that share a covariance."""
    counts, means, scatters = draw(seed, **sizes)
    return counts, means, counts[..., None, None] * pooled(counts, scatters)


def compared(constraint, counts, means, positive=-1):
    """Return the means that a constraint makes equal, shape (labels, G, d)."""
    if constraint == "equalized_odds":
        return means
    if constraint == "equal_opportunity":
        return means[[positive]]
    return np.stack(
        [[np.average(means[:, a], axis=0, weights=counts[:, a]) for a in range(counts.shape[1])]]
    )


def spread(means):
    return np.ptp(means, axis=1).max()


def change(matrix, covariance, metric):
    """Mean square by which rows of this covariance move."""
    moved = np.eye(len(matrix)) - matrix
    return np.trace(metric @ moved @ covariance @ moved.T)


# What it makes equal


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("shrinkage", [0, 0.01, 0.7, 1, "auto"])
def test_the_groups_means_become_equal(seed, constraint, shrinkage):
    moments = draw(seed)
    counts, means, _ = moments
    erasure = within_label_eraser(*moments, constraint=constraint, shrinkage=shrinkage)
    mapped = np.stack([erasure.map.apply(label_means) for label_means in means])
    assert spread(compared(constraint, counts, means)) > 0.5
    assert spread(compared(constraint, counts, mapped)) < 1e-10
    expected = {"equalized_odds": 6, "equal_opportunity": 2, "demographic_parity": 2}[constraint]
    assert erasure.n_directions == erasure.n_differences == expected
    assert np.linalg.matrix_rank(erasure.map.matrix, tol=1e-9) == 8 - expected
    if constraint != "equalized_odds":
        assert spread(mapped) > 0.1


@pytest.mark.parametrize("positive", [0, 1, 2])
def test_the_positive_label_is_the_one_asked_for(positive):
    counts, means, scatters = draw()
    erasure = within_label_eraser(
        counts, means, scatters, constraint="equal_opportunity", positive=positive
    )
    for label in range(3):
        gap = spread(erasure.map.apply(means[label])[None])
        assert gap < 1e-10 if label == positive else gap > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_no_linear_classifier_has_a_gap_where_subgroups_share_a_covariance(seed):
    """P(w'x > t | label, group) is Phi of the mean over the spread, one for all groups."""
    rng = np.random.default_rng(seed)
    weights, thresholds = rng.normal(size=(40, 8)), rng.normal(size=40)

    def gaps(counts, means, scatters, affine_map):
        covariances = scatters / counts[..., None, None]
        means, covariances = affine_map.pushforward(means, covariances)
        spreads = np.sqrt(np.einsum("cj,iajk,ck->cia", weights, covariances, weights))
        scores = np.einsum("cj,iaj->cia", weights, means) - thresholds[:, None, None]
        return np.ptp(norm.cdf(scores / spreads), axis=2)

    moments = shared(seed)
    erasure = within_label_eraser(*moments)
    identity = erasure.map.partial(0.0)
    assert gaps(*moments, identity).max() > 0.2
    np.testing.assert_allclose(gaps(*moments, erasure.map), 0.0, atol=1e-10)

    positives = within_label_eraser(*moments, constraint="equal_opportunity")
    np.testing.assert_allclose(gaps(*moments, positives.map)[:, -1], 0.0, atol=1e-10)
    assert gaps(*moments, positives.map)[:, 0].max() > 0.05

    different = draw(seed)
    assert gaps(*different, within_label_eraser(*different).map).max() > 0.02


# That it changes least


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_least_change_against_brute_force(seed, constraint):
    """Every matrix that satisfies the constraint is W N, N the complement of the differences."""
    rng = np.random.default_rng(seed)
    counts, means, scatters = draw(seed)
    covariance = pooled(counts, scatters)
    erasure = within_label_eraser(
        counts, means, scatters, constraint=constraint, shrinkage=0
    ).map.matrix
    groups = compared(constraint, counts, means)
    differences = (groups[:, 1:] - groups[:, :1]).reshape(-1, 8)
    complement = np.eye(8) - np.linalg.pinv(differences) @ differences

    root = sqrtm(covariance)
    solution = root @ np.linalg.pinv(complement @ root, rcond=1e-10) @ complement
    np.testing.assert_allclose(erasure, solution, atol=1e-10)

    square = rng.normal(size=(8, 8))
    for metric in (np.linalg.inv(covariance), np.eye(8), square @ square.T):
        least = change(erasure, covariance, metric)
        for size in (1e-4, 1e-2, 1.0):
            other = erasure + size * rng.normal(size=(8, 8)) @ complement
            np.testing.assert_allclose(other @ differences.T, 0.0, atol=1e-9)
            assert change(other, covariance, metric) > least
        assert change(complement, covariance, metric) > least * 1.001


def test_in_its_own_metric_it_changes_one_for_each_direction():
    counts, means, scatters = draw()
    erasure = within_label_eraser(counts, means, scatters, shrinkage=0)
    metric = np.linalg.inv(erasure.covariance)
    assert change(erasure.map.matrix, erasure.covariance, metric) == pytest.approx(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_leace_on_features_centered_by_label(seed):
    """LEACE (Belrose et al. 2023): I - W^+ Pi W, W = Sigma_xx^{-1/2}, Pi onto W Sigma_xz."""
    counts, means, scatters = draw(seed)
    q = counts / counts.sum()
    shifts = means - np.einsum("ia,iaj->ij", q / q.sum(axis=1, keepdims=True), means)[:, None]
    total = pooled(counts, scatters) + np.einsum("ia,iaj,iak->jk", q, shifts, shifts)
    with_group = (q[..., None] * shifts).reshape(-1, 8).T
    whiten = np.linalg.inv(sqrtm(total))
    onto = (whiten @ with_group) @ np.linalg.pinv(whiten @ with_group, rcond=1e-10)
    leace = np.eye(8) - np.linalg.inv(whiten) @ onto @ whiten
    erasure = within_label_eraser(counts, means, scatters, shrinkage=0)
    np.testing.assert_allclose(erasure.map.matrix, leace, atol=1e-9)


# Algebra


@examples(30, derandomize=True)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(0, 1000),
    st.sampled_from(CONSTRAINTS),
)
def test_it_is_a_projection_along_the_differences(n_labels, n_groups, d, seed, constraint):
    moments = draw(seed, n_labels, n_groups, d)
    counts, means, _ = moments
    erasure = within_label_eraser(*moments, constraint=constraint)
    matrix = erasure.map.matrix
    groups = compared(constraint, counts, means)
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-8)
    np.testing.assert_allclose(matrix @ (groups - groups[:, :1]).reshape(-1, d).T, 0, atol=1e-8)
    assert erasure.n_differences == len(groups) * (n_groups - 1)
    assert erasure.n_directions == min(d, erasure.n_differences)
    assert np.trace(matrix) == pytest.approx(d - erasure.n_directions, abs=1e-8)
    orthogonal = matrix @ erasure.covariance
    np.testing.assert_allclose(orthogonal, orthogonal.T, atol=1e-8)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_mean_of_all_rows_stays_in_place(constraint):
    counts, means, scatters = draw()
    center = np.average(means.reshape(-1, 8), axis=0, weights=counts.ravel())
    erasure = within_label_eraser(counts, means + 50, scatters, constraint=constraint)
    np.testing.assert_allclose(erasure.map.apply(center[None] + 50)[0], center + 50)


def test_twice_is_once():
    rng = np.random.default_rng(0)
    erasure = within_label_eraser(*draw())
    once = erasure.map.apply(rng.normal(size=(20, 8)))
    np.testing.assert_allclose(erasure.map.apply(once), once, atol=1e-12)
    twice = erasure.map.compose(erasure.map)
    np.testing.assert_allclose(twice.matrix, erasure.map.matrix, atol=1e-12)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_nothing_is_left_to_erase_after_erasure(constraint):
    counts, means, scatters = shared()
    first = within_label_eraser(counts, means, scatters, constraint=constraint)
    erased = first.map.pushforward(means, scatters / counts[..., None, None])
    again = within_label_eraser(
        counts, erased[0], counts[..., None, None] * erased[1], constraint=constraint
    )
    assert again.n_directions == 0
    np.testing.assert_array_equal(again.map.matrix, np.eye(8))
    np.testing.assert_array_equal(again.map.offset, np.zeros(8))


@pytest.mark.parametrize("shrinkage", [0, 0.3, "auto"])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_rescaling_and_shifting_features_does_the_same_to_the_map(constraint, shrinkage):
    options = {"constraint": constraint, "shrinkage": shrinkage}
    counts, means, scatters = draw()
    scale = np.array([1e-4, -7.0, 300.0, 1.0, 2.0, -0.1, 1e5, 1.0])
    shift = np.arange(8.0)
    first = within_label_eraser(counts, means, scatters, **options)
    second = within_label_eraser(
        counts, means * scale + shift, scatters * np.outer(scale, scale), **options
    )
    back = second.map.matrix * scale / scale[:, None]
    np.testing.assert_allclose(back, first.map.matrix, atol=1e-9)
    np.testing.assert_allclose(second.covariance, first.covariance * np.outer(scale, scale))
    x = np.random.default_rng(0).normal(size=(5, 8))
    np.testing.assert_allclose(
        (second.map.apply(x * scale + shift) - shift) / scale, first.map.apply(x), atol=1e-9
    )


def test_permutations():
    counts, means, scatters = draw()
    plain = within_label_eraser(counts, means, scatters).map.matrix
    order = np.array([3, 1, 4, 7, 5, 0, 2, 6])
    features = within_label_eraser(counts, means[..., order], scatters[..., order][..., order, :])
    np.testing.assert_allclose(features.map.matrix, plain[np.ix_(order, order)], atol=1e-10)
    for order in (np.ix_([2, 0, 1], [0, 1, 2]), np.ix_([0, 1, 2], [1, 2, 0])):
        renamed = within_label_eraser(counts[order], means[order], scatters[order])
        np.testing.assert_allclose(renamed.map.matrix, plain, atol=1e-10)


def test_only_the_proportions_of_the_counts_matter():
    counts, means, scatters = draw()
    first, second = (within_label_eraser(s * counts, means, s * scatters) for s in (1, 1e-5))
    np.testing.assert_allclose(first.map.matrix, second.map.matrix, atol=1e-12)
    np.testing.assert_allclose(first.map.offset, second.map.offset, atol=1e-12)


# Degenerate inputs


def test_groups_that_do_not_differ_are_left_alone():
    counts, means, scatters = draw()
    means = np.broadcast_to(means[:, :1], means.shape)
    erasure = within_label_eraser(counts, means, scatters)
    assert (erasure.n_differences, erasure.n_directions) == (6, 0)
    np.testing.assert_array_equal(erasure.map.matrix, np.eye(8))
    np.testing.assert_array_equal(erasure.map.offset, np.zeros(8))


def test_differences_that_agree_are_erased_once():
    counts, means, scatters = draw()
    shifts = means[0] - means[0, 0]
    parallel = means[:, :1] + shifts * np.array([1.0, -0.5, 2.0])[:, None, None]
    erasure = within_label_eraser(counts, parallel, scatters)
    assert (erasure.n_differences, erasure.n_directions) == (6, 2)
    mapped = erasure.map.apply(parallel.reshape(-1, 8)).reshape(means.shape)
    assert spread(mapped) < 1e-10


@pytest.mark.parametrize(("size", "rank"), [(1e-9, 0), (1e-6, 1)])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_rank_tolerance_is_in_standard_deviations(size, rank, unit):
    counts = np.full((2, 2), 10.0)
    scatters = np.broadcast_to(10.0 * unit**2 * np.eye(3), (2, 2, 3, 3))
    means = np.zeros((2, 2, 3))
    means[0, 1, 2] = size * unit
    assert within_label_eraser(counts, means, scatters).n_directions == rank


def test_empty_subgroups_take_no_part():
    counts, means, scatters = (np.array(part) for part in draw())
    counts[0, 1] = counts[2, 0] = counts[2, 1] = 0.0
    scatters[counts == 0.0] = 0.0
    first, second = (
        within_label_eraser(counts, np.where((counts == 0.0)[..., None], filling, means), scatters)
        for filling in (0.0, 1e3)
    )
    np.testing.assert_array_equal(first.map.matrix, second.map.matrix)
    np.testing.assert_array_equal(first.map.offset, second.map.offset)
    assert first.n_directions == 3
    mapped = first.map.apply(means.reshape(-1, 8)).reshape(means.shape)
    assert spread(mapped[[0]][:, [0, 2]]) < 1e-10
    assert spread(mapped[[1]]) < 1e-10
    assert spread(mapped) > 0.1

    positives = within_label_eraser(counts, means, scatters, constraint="equal_opportunity")
    assert (positives.n_differences, positives.n_directions) == (0, 0)
    np.testing.assert_array_equal(positives.map.matrix, np.eye(8))


def test_differences_in_all_directions_leave_the_mean_alone():
    counts, means, scatters = draw(n_features=3)
    erasure = within_label_eraser(counts, means, scatters)
    assert erasure.n_directions == 3
    center = np.average(means.reshape(-1, 3), axis=0, weights=counts.ravel())
    moved = erasure.map.apply(np.random.default_rng(0).normal(size=(6, 3)))
    np.testing.assert_allclose(moved, np.broadcast_to(center, (6, 3)), atol=1e-12)


def test_a_feature_equal_to_the_group_is_erased_and_the_others_change_little():
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=400)
    X = np.column_stack([10.0 * group, rng.normal(size=(400, 2))])
    moments = subgroup_moments(X, rng.integers(2, size=400), group, (2, 2))
    moved = within_label_eraser(*moments, constraint="demographic_parity").map.apply(X)
    assert spread(moved[:, 0][None, :, None]) < 1
    assert np.abs(moved - X)[:, 1:].max() < 0.5


@pytest.mark.parametrize("shrinkage", [0, 0.2, "auto"])
def test_the_covariance_is_shrunk_as_estimate_gaussians_does(shrinkage):
    """If each subgroup is a label of a single group, "tied" is the pooled covariance."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) * [1, 10, 0.1, 3]
    y, group = rng.integers(3, size=200), rng.integers(3, size=200)
    moments = subgroup_moments(X, y, group, (3, 3))
    expected = estimate_gaussians(
        X,
        3 * y + group,
        sensitive_features=np.zeros(200),
        covariance_type="tied",
        shrinkage=shrinkage,
    )
    erasure = within_label_eraser(*moments, shrinkage=shrinkage)
    np.testing.assert_allclose(erasure.covariance, expected.covariances[0, 0])


def test_errors():
    counts, means, scatters = draw()
    message = "constraint must be one of .*'equalized_odds'.*, got 'equal_odds'"
    with pytest.raises(ValueError, match=message):
        within_label_eraser(counts, means, scatters, constraint="equal_odds")
    doubled = np.concatenate([means, means[..., :1]], axis=-1)
    twice = np.pad(np.eye(8), [(0, 0), (0, 1)])
    twice[0, 8] = 1.0
    singular = twice.T @ scatters @ twice
    message = r"covariance is not positive definite.*columns \[0, 8\].*shrinkage"
    with pytest.raises(ValueError, match=message):
        within_label_eraser(counts, doubled, singular, shrinkage=0)
    assert within_label_eraser(counts, doubled, singular).n_directions == 6
