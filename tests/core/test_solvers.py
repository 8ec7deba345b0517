"""The nearest ideal distribution: closed forms, optimality, invariances, degenerate cases."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize

from fairsteer import nearest_ideal
from fairsteer.core.affine import AffineMap
from fairsteer.core.divergence import gaussian_kl
from fairsteer.core.solvers import (
    CONDITIONS,
    INTERVENTIONS,
    SOLVERS,
    _newton,
    default_reference_group,
)
from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers.affine import solve_affine
from fairsteer.core.solvers.tied import solve_tied
from fairsteer.core.solvers.univariate import solve_univariate
from fairsteer.core.solvers.whitened import solve_whitened
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import examples, ill_conditioned, tied_gaussians, with_parts

LAWS = [(2, 2, 3), (3, 3, 2), (4, 2, 4), (2, 4, 3), (4, 4, 2)]


def group_problem(gaussians, reference=0, group=1):
    weights = gaussians.priors[:, group] / gaussians.priors[:, group].sum()
    return GroupProblem(
        weights=weights,
        reference_means=gaussians.means[:, reference],
        reference_covariances=gaussians.covariances[:, reference],
        means=gaussians.means[:, group],
        covariances=gaussians.covariances[:, group],
    )


def direct_objective(problem, matrix, offset):
    """The definition: the weighted divergence of the mapped reference from the group."""
    mapped = AffineMap(matrix, offset).pushforward(
        problem.reference_means, problem.reference_covariances
    )
    return problem.weights @ gaussian_kl(*mapped, problem.means, problem.covariances)


def brute_force(problem, start):
    """Minimize over (B, c) by finite-difference quasi-Newton steps."""
    d = problem.n_features

    def objective(z):
        matrix = z[: d * d].reshape(d, d)
        if abs(np.linalg.det(matrix)) < 1e-12:
            return 1e6
        return direct_objective(problem, matrix, z[d * d :])

    first = np.concatenate([start.ravel(), problem.offset(start)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return minimize(objective, first, method="BFGS", options={"gtol": 1e-9}).fun


@pytest.mark.parametrize(("n_labels", "n_groups", "d"), LAWS)
def test_value_and_gradient_follow_the_definition(n_labels, n_groups, d, rng):
    problem = group_problem(random_gaussians(n_labels, n_groups, d, 0))
    B = np.eye(d) + 0.3 * rng.normal(size=(d, d))
    value = direct_objective(problem, B, problem.offset(B))
    assert problem.value(B) == pytest.approx(value, abs=1e-12)
    for _ in range(5):
        shifted = problem.offset(B) + 0.1 * rng.normal(size=d)
        assert direct_objective(problem, B, shifted) > value
    numeric = approx_fprime(B.ravel(), lambda z: problem.value(z.reshape(d, d)), 1e-7)
    gradient = problem.quadratic_gradient(B) - np.linalg.inv(B).T
    np.testing.assert_allclose(gradient, numeric.reshape(d, d), atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_univariate_equals_brute_force(seed):
    problem = group_problem(random_gaussians(2 + seed % 4, 2, 1, seed))
    for reflect in (False, True):
        solution = solve_univariate(problem, reflect=reflect)
        signs = (1.0, -1.0) if reflect else (1.0,)
        best = min(brute_force(problem, np.array([[s * 0.8]])) for s in signs)
        assert problem.value(solution.matrix) == pytest.approx(best, abs=1e-7)
        assert solution.optimality < 1e-12


def test_univariate_reflects_only_where_the_labels_are_ordered_differently():
    gaussians = random_gaussians(2, 2, 1, 0)
    means = np.array([[[0.0], [3.0]], [[3.0], [0.0]]])
    crossed = with_parts(gaussians, means=means, covariances=np.ones((2, 2, 1, 1)))
    affine = nearest_ideal(crossed, reference_group="a")
    whitened = nearest_ideal(crossed, reference_group="a", conditions="whitened")
    assert affine.group_maps.matrix[1, 0, 0] < 0 < whitened.group_maps.matrix[1, 0, 0]
    assert affine.kl_divergence < whitened.kl_divergence


@pytest.mark.slow
@pytest.mark.parametrize(("n_labels", "n_groups", "d"), LAWS)
@pytest.mark.parametrize("seed", range(3))
def test_tied_is_the_best_of_many_restarts(n_labels, n_groups, d, seed):
    problem = group_problem(tied_gaussians(n_labels, n_groups, d, seed))
    closed = solve_tied(problem)
    numerical = solve_affine(problem, anchor=0, n_init=12, random_state=np.random.default_rng(0))
    assert problem.value(closed.matrix) == pytest.approx(problem.value(numerical.matrix), abs=1e-8)
    assert closed.optimality < 1e-10
    assert brute_force(problem, closed.matrix) > problem.value(closed.matrix) - 1e-7


def test_tied_with_one_label_is_the_optimal_transport_map():
    gaussians = random_gaussians(1, 2, 4, 0)
    problem = group_problem(gaussians)
    matrix = solve_tied(problem).matrix
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-10)
    assert problem.value(matrix) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("n_labels", "n_groups", "d"), LAWS)
def test_whitened_reaches_one_optimum_from_ten_random_starts(n_labels, n_groups, d, rng):
    problem = group_problem(random_gaussians(n_labels, n_groups, d, 1))
    first = solve_whitened(problem, anchor=n_labels - 1)
    assert first.optimality < 1e-8
    for _ in range(10):
        factor = rng.normal(size=(d, d))
        start = factor @ factor.T + 0.1 * np.eye(d)
        other = solve_whitened(problem, anchor=n_labels - 1, start=start)
        np.testing.assert_allclose(other.matrix, first.matrix, atol=1e-6)
        assert problem.value(other.matrix) == pytest.approx(problem.value(first.matrix), abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_whitened_equals_brute_force_over_symmetric_factors(seed):
    problem = group_problem(random_gaussians(3, 2, 2, seed))
    solution = solve_whitened(problem, anchor=2)
    values, vectors = np.linalg.eigh(problem.reference_covariances[2])
    whiten = (vectors / np.sqrt(values)) @ vectors.T

    def objective(z):
        factor = np.array([[np.exp(z[0]), 0.0], [z[1], np.exp(z[2])]])
        B = factor @ factor.T @ whiten
        return direct_objective(problem, B, problem.offset(B))

    best = minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).fun
    assert problem.value(solution.matrix) == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_affine_is_a_local_optimum_of_the_definition(seed):
    problem = group_problem(random_gaussians(3, 2, 3, seed))
    solution = solve_affine(problem, anchor=2)
    assert solution.optimality < 1e-8
    assert np.linalg.norm(problem.relative_gradient(solution.matrix)) < 1e-7
    value = problem.value(solution.matrix)
    assert brute_force(problem, solution.matrix) == pytest.approx(value, abs=1e-7)


@pytest.mark.slow
@given(st.integers(2, 4), st.integers(2, 4), st.integers(1, 4), st.integers(0, 10_000))
@examples(40)
def test_weaker_conditions_are_nearer(n_labels, n_groups, d, seed):
    gaussians = random_gaussians(n_labels, n_groups, d, seed)
    kl = {
        conditions: nearest_ideal(gaussians, conditions=conditions).kl_divergence
        for conditions in ("affine", "whitened", "identical")
    }
    assert 0.0 <= kl["affine"] <= kl["whitened"] + 1e-9
    assert kl["whitened"] <= kl["identical"] + 1e-9


@pytest.mark.parametrize("conditions", ["affine", "whitened", "identical"])
def test_the_target_is_the_mapped_template(conditions):
    gaussians = random_gaussians(3, 4, 3, 2)
    result = nearest_ideal(gaussians, conditions=conditions, reference_group="c")
    assert result.converged
    assert result.optimality < 1e-6
    assert np.array_equal(result.target.means[:, 2], gaussians.means[:, 2])
    assert np.array_equal(result.group_maps.matrix[2], np.eye(3))
    means, covariances = result.group_maps.pushforward(result.ideal.means, result.ideal.covariances)
    np.testing.assert_allclose(means, result.target.means, atol=1e-10)
    np.testing.assert_allclose(covariances, result.target.covariances, atol=1e-10)
    kl = gaussian_kl(means, covariances, gaussians.means, gaussians.covariances)
    np.testing.assert_allclose(result.kl_per_subgroup, kl, atol=1e-10)
    assert result.kl_divergence == pytest.approx(np.sum(gaussians.priors * kl))


def test_identical_targets_are_the_gaussians_of_the_reference():
    gaussians = random_gaussians(3, 3, 2, 4)
    result = nearest_ideal(gaussians, conditions="identical", reference_group="b")
    for a in range(3):
        np.testing.assert_allclose(result.target.means[:, a], gaussians.means[:, 1], atol=1e-12)
    assert result.optimality == 0.0


@pytest.mark.parametrize("intervention", INTERVENTIONS)
@pytest.mark.parametrize("conditions", ["affine", "whitened"])
def test_an_ideal_distribution_is_kept(conditions, intervention, rng):
    gaussians = random_gaussians(3, 3, 3, 5)
    if conditions == "affine":
        matrices = np.eye(3) + 0.4 * rng.normal(size=(3, 3, 3))
    else:
        values, vectors = np.linalg.eigh(gaussians.covariances[2, 0])
        whiten = (vectors / np.sqrt(values)) @ vectors.T
        factors = rng.normal(size=(3, 3, 3))
        matrices = (factors @ np.swapaxes(factors, -1, -2) + 0.5 * np.eye(3)) @ whiten
    maps = AffineMap(matrices, rng.normal(size=(3, 3)))
    means, covariances = maps.pushforward(gaussians.means[:, :1], gaussians.covariances[:, :1])
    ideal = with_parts(gaussians, means=means, covariances=0.5 * (covariances + covariances.mT))
    for reference in ideal.groups:
        options = {"intervention": intervention, "reference_group": reference}
        result = nearest_ideal(ideal, conditions=conditions, **options)
        assert result.kl_divergence < 1e-12
    np.testing.assert_allclose(result.target.means, ideal.means, atol=1e-5)


@pytest.mark.parametrize("intervention", INTERVENTIONS)
def test_equal_groups_are_kept_exactly(intervention):
    gaussians = random_gaussians(3, 3, 3, 5).like_group(1)
    for conditions in ("affine", "whitened", "identical"):
        result = nearest_ideal(gaussians, conditions=conditions, intervention=intervention)
        assert result.kl_divergence < 1e-12
        np.testing.assert_allclose(result.target.means, gaussians.means, atol=1e-6)
        np.testing.assert_allclose(result.target.covariances, gaussians.covariances, atol=1e-6)


@pytest.mark.parametrize(
    ("solver", "conditions", "d"),
    [
        ("univariate", "affine", 1),
        ("univariate", "whitened", 1),
        ("whitened", "whitened", 1),
        ("affine", "affine", 1),
        ("tied", "affine", 3),
        ("affine", "affine", 3),
    ],
)
def test_every_solver_keeps_an_ideal_distribution(solver, conditions, d, rng):
    gaussians = tied_gaussians(3, 3, d, 5)
    maps = AffineMap(rng.normal(size=(3, d, d)) + (1.5 if d == 1 else 0.0), rng.normal(size=(3, d)))
    maps = AffineMap(np.abs(maps.matrix) if d == 1 else maps.matrix, maps.offset)
    ideal = gaussians.like_group(0).pushforward(maps)
    ideal = with_parts(ideal, covariances=0.5 * (ideal.covariances + ideal.covariances.mT))
    for reference in ideal.groups:
        result = nearest_ideal(
            ideal, solver=solver, conditions=conditions, reference_group=reference
        )
        assert result.kl_divergence < 1e-12
        np.testing.assert_allclose(result.target.means, ideal.means, atol=1e-6)


def special_gaussians(kind, seed):
    """Laws whose labels agree in part, so that one contrast does not tell them apart."""
    n_labels = 4 if kind == "four labels, equal means" else 3
    gaussians = random_gaussians(n_labels, 2, 3, seed)
    means, covariances = gaussians.means.copy(), gaussians.covariances.copy()
    if kind.endswith("equal means"):
        means[:] = means[:1]
    elif kind == "equal first and last label":
        means[2], covariances[2] = means[0], covariances[0]
    else:
        means[1], means[2], covariances[2] = 0.0, -means[0], covariances[0]
    return with_parts(gaussians, means=means, covariances=covariances)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize(
    "kind", ["equal means", "four labels, equal means", "equal first and last label", "mirrored"]
)
def test_special_ideal_distributions_are_recognized(kind, seed, rng):
    gaussians = special_gaussians(kind, seed)
    maps = AffineMap(rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3)))
    means, covariances = maps.pushforward(gaussians.means[:, :1], gaussians.covariances[:, :1])
    ideal = with_parts(gaussians, means=means, covariances=0.5 * (covariances + covariances.mT))
    assert nearest_ideal(ideal).kl_divergence < 1e-12


@pytest.mark.parametrize("eps", [1e-9, 1e-11, 1e-12, 1e-13])
@pytest.mark.filterwarnings("ignore:The .* solver stopped:RuntimeWarning")
def test_nearly_singular_covariances_are_solved_or_refused(eps):
    gaussians = random_gaussians(2, 2, 3, 0)
    squeeze = np.diag([1.0, 1.0, np.sqrt(eps)])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3))).Q
    covariances = turn @ squeeze @ gaussians.covariances @ squeeze @ turn.T
    gaussians = with_parts(gaussians, covariances=0.5 * (covariances + covariances.mT))
    try:
        result = nearest_ideal(gaussians)
    except ValueError as error:
        assert "raise shrinkage" in str(error)
    else:
        assert np.isfinite(result.kl_divergence)


def test_one_feature_given_to_the_general_solvers_equals_the_closed_form():
    for seed in range(10):
        gaussians = random_gaussians(3, 3, 1, seed)
        closed = nearest_ideal(gaussians, solver="univariate", conditions="whitened")
        general = nearest_ideal(gaussians, solver="whitened", conditions="whitened")
        assert general.kl_divergence == pytest.approx(closed.kl_divergence, abs=1e-10)
        best = nearest_ideal(gaussians, solver="univariate")
        found = nearest_ideal(gaussians, solver="affine")
        assert found.kl_divergence == pytest.approx(best.kl_divergence, abs=1e-10)


@pytest.mark.parametrize("conditions", ["affine", "whitened", "identical"])
def test_permuting_labels_groups_and_features_permutes_the_result(conditions):
    gaussians = random_gaussians(3, 3, 3, 7)
    before = nearest_ideal(gaussians, conditions=conditions, reference_group="b", anchor=1)
    labels, groups, features = [2, 0, 1], [1, 2, 0], [2, 1, 0]
    order = np.ix_(labels, groups)
    permuted = with_parts(
        gaussians,
        labels=gaussians.labels[labels],
        groups=gaussians.groups[groups],
        priors=gaussians.priors[order],
        counts=gaussians.counts[order],
        means=gaussians.means[order][..., features],
        covariances=gaussians.covariances[order][..., features, :][..., features],
    )
    after = nearest_ideal(permuted, conditions=conditions, reference_group="b", anchor=1)
    assert after.kl_divergence == pytest.approx(before.kl_divergence, abs=1e-10)
    expected = before.target.means[order][..., features]
    np.testing.assert_allclose(after.target.means, expected, atol=1e-6)


@pytest.mark.parametrize("conditions", ["affine", "identical"])
def test_rescaling_and_shifting_features_rescales_the_result(conditions):
    gaussians = random_gaussians(3, 3, 3, 8)
    units, shift = np.array([1e-4, 1.0, 1e5]), np.array([3.0, -1e3, 1e6])
    rescaled = with_parts(
        gaussians,
        means=gaussians.means * units + shift,
        covariances=gaussians.covariances * np.outer(units, units),
    )
    before = nearest_ideal(gaussians, conditions=conditions)
    after = nearest_ideal(rescaled, conditions=conditions)
    assert after.kl_divergence == pytest.approx(before.kl_divergence, rel=1e-6)
    np.testing.assert_allclose((after.target.means - shift) / units, before.target.means, atol=1e-6)


@pytest.mark.parametrize("intervention", INTERVENTIONS)
@pytest.mark.parametrize("n_labels", [1, 3])
@pytest.mark.parametrize("conditions", ["affine", "whitened"])
def test_groups_a_million_spreads_apart_are_solved_as_near_ones(conditions, n_labels, intervention):
    gaussians = random_gaussians(n_labels, 3, 3, 1)
    apart = np.array([[0.0], [1e6], [-3e6]]) * gaussians.feature_scale
    far = with_parts(gaussians, means=gaussians.means + apart)
    options = {"conditions": conditions, "intervention": intervention}
    before, after = nearest_ideal(gaussians, **options), nearest_ideal(far, **options)
    assert after.converged
    assert after.kl_divergence == pytest.approx(before.kl_divergence, abs=1e-9)
    np.testing.assert_allclose(after.target.means - apart, before.target.means, atol=1e-8)
    np.testing.assert_allclose(after.target.covariances, before.target.covariances, atol=1e-8)
    np.testing.assert_allclose(after.group_maps.matrix, before.group_maps.matrix, atol=1e-8)
    back = after.ideal.pushforward(after.group_maps)
    np.testing.assert_allclose(back.means, after.target.means, atol=1e-8)


@pytest.mark.parametrize("intervention", INTERVENTIONS)
@pytest.mark.parametrize("conditions", ["affine", "whitened"])
def test_a_direction_of_small_variance_does_not_matter(conditions, intervention):
    gaussians = ill_conditioned("direction", 1e6, 0)
    result = nearest_ideal(gaussians, conditions=conditions, intervention=intervention)
    assert result.converged
    if conditions == "affine":
        expected = nearest_ideal(random_gaussians(3, 3, 4, 0), intervention=intervention)
        assert result.kl_divergence == pytest.approx(expected.kl_divergence, rel=1e-8)


def test_the_advice_names_the_cause(monkeypatch):
    monkeypatch.setattr(_newton, "MAX_ITERATIONS", 1)
    gaussians = random_gaussians(3, 2, 4, 0)
    narrow, far = gaussians.covariances.copy(), gaussians.means.copy()
    narrow[1, 1] = ill_conditioned("axes", 1e8, 0).covariances[1, 1]
    far[2, :, 3] += 1e5
    cases = [
        (
            {"covariances": narrow},
            "label=1, group='b' has a condition number of .*e\\+0[789].*shrinkage",
        ),
        (
            {"means": far},
            "position 3 the means of the labels lie .*e\\+0[45] .*determines the label",
        ),
        ({}, "larger shrinkage or covariance_type='tied'"),
    ]
    for parts, message in cases:
        with pytest.warns(RuntimeWarning, match=message):
            nearest_ideal(with_parts(gaussians, **parts), conditions="whitened")


@pytest.mark.filterwarnings("ignore:The .* solver stopped:RuntimeWarning")
def test_a_target_that_cannot_be_represented_is_refused_as_such():
    """Labels that are narrow in different directions, in one group and in the other."""
    angles = np.array([[0.3, 0.3], [1.2, 0.9]])
    along = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    covariances = 1e-10 * np.eye(2) + along[..., :, None] * along[..., None, :]
    gaussians = with_parts(random_gaussians(2, 2, 2, 0), covariances=covariances)
    message = "cannot be represented.*label=0, group='b'.*singular up to rounding.*shrinkage"
    with pytest.raises(ValueError, match=message):
        nearest_ideal(gaussians, conditions="whitened", reference_group="a")


@pytest.mark.parametrize("priors", ["keep", "independent", "nearest"])
def test_priors_are_part_of_the_divergence(priors):
    gaussians = random_gaussians(3, 3, 2, 9)
    result = nearest_ideal(gaussians, priors=priors)
    q = result.target.priors
    expected = np.sum(q * (np.log(q / gaussians.priors) + result.kl_per_subgroup))
    assert result.kl_divergence == pytest.approx(expected)
    if priors != "keep":
        np.testing.assert_allclose(q, np.outer(q.sum(axis=1), q.sum(axis=0)), atol=1e-12)


@pytest.mark.slow
def test_nearest_priors_are_nearest():
    for seed in range(5):
        gaussians = random_gaussians(3, 3, 2, seed)
        nearest = nearest_ideal(gaussians, priors="nearest").kl_divergence
        assert nearest <= nearest_ideal(gaussians, priors="independent").kl_divergence + 1e-9


def test_restarts_never_lose():
    gaussians = random_gaussians(2, 2, 4, 3)
    once = nearest_ideal(gaussians)
    often = nearest_ideal(gaussians, n_init=10, random_state=0)
    assert often.kl_divergence <= once.kl_divergence + 1e-9
    again = nearest_ideal(gaussians, n_init=10, random_state=0)
    assert np.array_equal(often.group_maps.matrix, again.group_maps.matrix)


def test_the_default_reference_group():
    counts = np.array([[30.0, 10.0, 20.0], [10.0, 10.0, 5.0]])
    assert default_reference_group(counts) == 1
    assert default_reference_group(counts, positive=0) == 2
    assert default_reference_group(np.vstack([counts, counts])) == 0
    assert default_reference_group(np.ones((2, 3))) == 0


def test_options_that_do_not_fit_are_refused():
    gaussians = random_gaussians(2, 2, 3, 0)
    cases = [
        ({"conditions": "equal"}, "conditions must be one of"),
        ({"solver": "magic"}, "solver must be one of"),
        ({"solver": "whitened"}, r"solver='whitened' .* conditions \['whitened'\]"),
        ({"solver": "univariate"}, "needs exactly one feature"),
        ({"solver": "tied"}, "needs one covariance shared by all labels"),
        ({"reference_group": "q"}, "there is no group 'q'"),
        ({"anchor": 5, "conditions": "whitened"}, "there is no label 5"),
        ({"priors": "equal"}, "priors must be one of"),
        ({"n_init": 0}, "n_init must be at least 1"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            nearest_ideal(gaussians, **options)
    with pytest.raises(ValueError, match="at least 2 groups"):
        nearest_ideal(random_gaussians(2, 1, 3, 0))


def test_auto_takes_the_most_special_solver():
    assert nearest_ideal(random_gaussians(2, 2, 1, 0)).solver == "univariate"
    assert nearest_ideal(tied_gaussians(2, 2, 3, 0)).solver == "tied"
    assert nearest_ideal(random_gaussians(2, 2, 3, 0)).solver == "affine"
    assert nearest_ideal(random_gaussians(1, 2, 3, 0)).solver == "tied"
    served = {c for solver in SOLVERS.values() for c in solver.conditions}
    assert served == set(CONDITIONS)


def test_a_solver_that_stops_early_says_so(monkeypatch):
    monkeypatch.setattr(_newton, "MAX_ITERATIONS", 1)
    with pytest.warns(RuntimeWarning, match="stopped at an optimality of"):
        result = nearest_ideal(random_gaussians(3, 2, 4, 0), conditions="whitened")
    assert not result.converged


def test_a_condition_without_a_solver_is_refused(monkeypatch):
    monkeypatch.setattr("fairsteer.core.solvers.CONDITIONS", ("affine", "rotated"))
    gaussians = random_gaussians(3, 3, 2, 0)
    for intervention in INTERVENTIONS:
        with pytest.raises(ValueError, match=r"conditions='rotated'.*\['affine'\]"):
            nearest_ideal(gaussians, intervention=intervention, conditions="rotated")
