"""All-subgroups intervention: against brute force, against the affirmative one, degenerate."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fairsteer import nearest_ideal
from fairsteer.core.affine import AffineMap
from fairsteer.core.divergence import gaussian_kl
from fairsteer.core.ideal import is_ideal
from fairsteer.core.solvers import affine
from fairsteer.core.solvers._result import Settings
from fairsteer.core.solvers.subgroups import _alternate, fit_template
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import ill_conditioned, with_parts

CONDITIONS = ("affine", "whitened", "identical")


def univariate_objective(z, gaussians):
    """Return the divergence of a one-dimensional distribution that is ideal."""
    K, G = gaussians.priors.shape
    slopes, offsets = np.exp(z[: G - 1]), z[G - 1 : 2 * G - 2]
    slopes, offsets = np.append(slopes, 1.0), np.append(offsets, 0.0)
    means, deviations = z[2 * G - 2 : 2 * G - 2 + K], np.exp(z[2 * G - 2 + K :])
    target = (means[:, None] * slopes + offsets)[..., None]
    variances = ((deviations[:, None] * slopes) ** 2)[..., None, None]
    return np.sum(
        gaussians.priors * gaussian_kl(target, variances, gaussians.means, gaussians.covariances)
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("n_labels", "n_groups"), [(2, 2), (3, 2), (2, 3), (4, 3)])
def test_one_feature_equals_brute_force(n_labels, n_groups, seed):
    gaussians = random_gaussians(n_labels, n_groups, 1, seed)
    result = nearest_ideal(gaussians, intervention="all_subgroups", conditions="whitened")
    rng = np.random.default_rng(seed)
    size = 2 * (n_groups - 1) + 2 * n_labels
    best = min(
        minimize(
            univariate_objective,
            rng.normal(size=size),
            (gaussians,),
            method="BFGS",
            options={"gtol": 1e-9},
        ).fun
        for _ in range(4)
    )
    assert result.kl_divergence == pytest.approx(best, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_never_farther_than_any_affirmative_intervention(seed):
    gaussians = random_gaussians(2 + seed % 2, 3, 2 + seed % 3, seed)
    conditions = CONDITIONS[seed % 3] if seed % 5 == 0 else "affine"
    every = nearest_ideal(gaussians, intervention="all_subgroups", conditions=conditions)
    for group in gaussians.groups:
        one = nearest_ideal(gaussians, reference_group=group, conditions=conditions)
        assert every.kl_divergence <= one.kl_divergence + 1e-12
    assert every.converged
    assert is_ideal(every.target, conditions)


@pytest.mark.slow
@pytest.mark.parametrize("conditions", CONDITIONS)
def test_frames_targets_and_divergences_agree(conditions):
    gaussians = random_gaussians(3, 3, 3, 1)
    result = nearest_ideal(
        gaussians, intervention="all_subgroups", conditions=conditions, reference_group="b"
    )
    assert np.array_equal(result.group_maps.matrix[1], np.eye(3))
    mapped = result.ideal.pushforward(result.group_maps)
    np.testing.assert_allclose(mapped.means, result.target.means, atol=1e-10)
    np.testing.assert_allclose(mapped.covariances, result.target.covariances, atol=1e-10)
    kl = gaussian_kl(mapped.means, mapped.covariances, gaussians.means, gaussians.covariances)
    assert result.kl_divergence == pytest.approx(np.sum(gaussians.priors * kl), abs=1e-10)
    assert np.all(result.kl_per_subgroup > 0)


def test_the_frame_does_not_change_the_distribution():
    gaussians = random_gaussians(2, 3, 2, 2)
    results = [
        nearest_ideal(gaussians, intervention="all_subgroups", reference_group=group)
        for group in gaussians.groups
    ]
    for other in results[1:]:
        assert other.kl_divergence == pytest.approx(results[0].kl_divergence, abs=1e-10)
        np.testing.assert_allclose(other.target.means, results[0].target.means, atol=1e-5)


@pytest.mark.parametrize("conditions", ["affine", "whitened"])
def test_the_objective_never_rises(conditions):
    gaussians = random_gaussians(3, 3, 3, 3)
    settings = Settings(
        conditions=conditions,
        reference=0,
        anchor=2,
        priors=gaussians.priors,
        n_init=1,
        rng=np.random.default_rng(0),
    )
    start = AffineMap(np.tile(2.0 * np.eye(3), (3, 1, 1)), np.zeros((3, 3)))
    objectives = [state.objective for state in _alternate(gaussians, settings, start, 1e-9)]
    assert len(objectives) > 5
    assert np.all(np.diff(objectives) <= 1e-12)
    assert objectives[0] - objectives[-1] > 0.1


def test_the_template_is_the_best_one_for_its_maps(rng):
    gaussians = random_gaussians(2, 3, 3, 4)
    maps = AffineMap(np.eye(3) + 0.2 * rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 3)))
    template = fit_template(gaussians, gaussians.priors, maps)

    def objective(means, covariances):
        mapped = maps.pushforward(means[:, None], covariances[:, None])
        return np.sum(
            gaussians.priors * gaussian_kl(*mapped, gaussians.means, gaussians.covariances)
        )

    best = objective(template.means, template.covariances)
    for _ in range(20):
        shift = 0.05 * rng.normal(size=(2, 3))
        stretch = np.eye(3) + 0.05 * rng.normal(size=(2, 3, 3))
        other = stretch @ template.covariances @ stretch.mT
        assert objective(template.means + shift, other) > best


def test_a_single_label_leads_to_the_barycenter():
    gaussians = random_gaussians(1, 3, 3, 5)
    result = nearest_ideal(gaussians, intervention="all_subgroups")
    assert result.kl_divergence < 1e-12
    weights = gaussians.priors[0]
    np.testing.assert_allclose(result.ideal.means[0, 0], weights @ gaussians.means[0], atol=1e-12)
    average = np.einsum("a,ajk->jk", weights, result.group_maps.matrix)
    scale = gaussians.feature_scale
    np.testing.assert_allclose(average * scale / scale[:, None], np.eye(3), atol=1e-8)


def test_one_label_and_one_feature_average_the_deviations():
    gaussians = random_gaussians(1, 3, 1, 6)
    result = nearest_ideal(gaussians, intervention="all_subgroups")
    deviations = np.sqrt(gaussians.covariances[0, :, 0, 0])
    expected = gaussians.priors[0] @ deviations
    assert result.ideal.covariances[0, 0, 0, 0] == pytest.approx(expected**2)


@pytest.mark.slow
@pytest.mark.parametrize("conditions", CONDITIONS)
def test_priors_join_in(conditions):
    gaussians = random_gaussians(2, 3, 2, 7)
    options = {"intervention": "all_subgroups", "conditions": conditions}
    nearest = nearest_ideal(gaussians, priors="nearest", **options)
    independent = nearest_ideal(gaussians, priors="independent", **options)
    assert nearest.kl_divergence <= independent.kl_divergence + 1e-9
    q = nearest.target.priors
    np.testing.assert_allclose(q, np.outer(q.sum(axis=1), q.sum(axis=0)), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["axes", "far means"])
@pytest.mark.parametrize("seed", range(2))
def test_a_condition_of_1e10_ends_with_a_warning(kind, seed, monkeypatch):
    steps = []
    minimize = affine.minimize
    monkeypatch.setattr(
        affine, "minimize", lambda *args: steps.append(minimize(*args)) or steps[-1]
    )
    gaussians = ill_conditioned(kind, 1e10, seed)
    with pytest.warns(
        RuntimeWarning, match=r"label=., group='.' has a condition number of .*shrinkage"
    ):
        result = nearest_ideal(gaussians, intervention="all_subgroups")
    assert not result.converged
    # 54 starts of at most 26 steps, 3 runs of 240 and one of 480, and 30 steps in a last round.
    assert sum(found.n_iter for found in steps) <= 54 * 26 + 3 * 270 + 510
    identical = nearest_ideal(gaussians, intervention="all_subgroups", conditions="identical")
    assert result.kl_divergence < identical.kl_divergence


def test_the_barycenter_of_narrow_gaussians_costs_nothing():
    gaussians = ill_conditioned("axes", 1e10, 0)
    first = with_parts(
        gaussians,
        labels=gaussians.labels[:1],
        priors=gaussians.priors[:1] / gaussians.priors[:1].sum(),
        means=gaussians.means[:1],
        covariances=gaussians.covariances[:1],
        counts=gaussians.counts[:1],
    )
    result = nearest_ideal(first, intervention="all_subgroups")
    assert result.converged
    assert result.kl_divergence < 1e-10


def test_rescaling_features_rescales_the_result():
    gaussians = random_gaussians(2, 3, 2, 8)
    units = np.array([1e-4, 1e5])
    scaled = with_parts(
        gaussians,
        means=gaussians.means * units,
        covariances=gaussians.covariances * np.outer(units, units),
    )
    before = nearest_ideal(gaussians, intervention="all_subgroups")
    after = nearest_ideal(scaled, intervention="all_subgroups")
    assert after.kl_divergence == pytest.approx(before.kl_divergence, rel=1e-6)
    np.testing.assert_allclose(after.target.means / units, before.target.means, atol=1e-5)
