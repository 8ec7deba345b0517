"""Steering towards a concept: equal steps have equal effects, at the least divergence."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from fairsteer import ConceptSteering, SteeringWarning
from fairsteer.core.concept import (
    concept_directions,
    direction_covariances,
    equal_effect,
    own_probes,
    shared_probe,
)
from fairsteer.core.divergence import gaussian_kl, mixture_kl
from fairsteer.core.posterior import group_posterior, population_densities
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import tied_gaussians, with_parts

pytestmark = pytest.mark.slow

SEEDS = range(4)


def world(n_groups, n_features, seed):
    """Draw the geometry of a concept in every group: unequal norms, directions and noises."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n_features)
    common /= np.linalg.norm(common)
    directions = []
    for norm in np.linspace(2.5, 1.0, n_groups):
        other = rng.normal(size=n_features)
        other -= other @ common * common
        other /= np.linalg.norm(other)
        directions.append(norm * (np.cos(0.7) * common + np.sin(0.7) * other))
    axes = np.linalg.qr(rng.normal(size=(n_groups, n_features, n_features))).Q
    noise = axes * np.exp(0.5 * rng.normal(size=(n_groups, 1, n_features)))
    return rng.normal(size=(n_groups, n_features)), np.array(directions), noise


def fit(steering, H, concept, groups):
    return steering.fit(H, concept, sensitive_features=groups)


def states(geometry, n, seed):
    """Draw states, whether they have the concept, and their groups, of unequal sizes."""
    centres, directions, noise = geometry
    rng = np.random.default_rng(seed)
    n_groups = len(centres)
    shares = np.arange(n_groups, 0, -1.0)
    codes = rng.choice(n_groups, size=n, p=shares / shares.sum())
    concept = rng.binomial(1, np.linspace(0.5, 0.3, n_groups)[codes])
    H = centres[codes] + (concept - 0.5)[:, None] * directions[codes]
    H += np.einsum("njk,nk->nj", noise[codes], rng.normal(size=H.shape))
    return H, concept, np.array(list("abcd"))[codes]


def steps(steering):
    """Return the groups' own directions and the ideal ones, shape (2, G, d)."""
    return np.stack([steering.directions_, steering.ideal_directions_])


# ---- the effect is equal, and as large as before -----------------------------------------------

PROBES = {
    "logistic": lambda: LogisticRegression(max_iter=5000),
    "discriminant": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize(("n_groups", "n_features"), [(2, 8), (3, 32)])
@pytest.mark.parametrize("probe", ["shared", "every"])
def test_a_probe_of_other_states_changes_alike_in_all_groups(
    probe, n_groups, n_features, kind, seed
):
    geometry = world(n_groups, n_features, seed)
    steering = fit(ConceptSteering(probe=probe), *states(geometry, 6000, seed=100 + seed))
    H, concept, groups = states(geometry, 6000, seed=200 + seed)
    judge = PROBES[kind]().fit(H, concept)
    before = judge.decision_function(H)
    naive = dict(zip(steering.groups_, steering.directions_, strict=True))
    effects = {"naive": [], "ideal": []}
    for group in steering.groups_:
        own = groups == group
        for name, step in (("naive", 2.0 * naive[group]), ("ideal", steering.vector(group, 2.0))):
            change = judge.decision_function(H[own] + step) - before[own]
            effects[name].append(change.mean())
    assert np.ptp(effects["ideal"]) <= 0.2 * np.ptp(effects["naive"])
    assert np.mean(effects["ideal"]) == pytest.approx(np.mean(effects["naive"]), rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("probe", ["own", "both"])
def test_the_groups_own_probes_change_alike(probe, seed):
    geometry = world(3, 16, seed)
    steering = fit(ConceptSteering(probe=probe), *states(geometry, 20_000, seed=100 + seed))
    H, concept, groups = states(geometry, 20_000, seed=200 + seed)
    judges = [
        LogisticRegression(max_iter=5000).fit(H[groups == g], concept[groups == g]).coef_[0]
        for g in steering.groups_
    ]
    effects = steering.effects(judges)
    pooled = H[concept == 1].mean(axis=0) - H[concept == 0].mean(axis=0)
    of_pooled = np.ptp(np.array(judges) @ pooled)
    assert np.ptp(effects["after"]) <= 0.2 * min(np.ptp(effects["before"]), of_pooled)
    assert effects["after"].mean() == pytest.approx(effects["before"].mean(), rel=0.1)


@pytest.mark.parametrize("probe", ["shared", "own", "both", "every"])
@pytest.mark.parametrize("covariance_type", ["tied", "full", "diag"])
@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_effects_on_the_fitted_probes_are_exactly_equal(probe, covariance_type):
    steering = ConceptSteering(probe=probe, covariance_type=covariance_type)
    fit(steering, *states(world(3, 5, 0), 900, seed=1))
    own, ideal = np.einsum("akj,saj->sak", steering.probes_, steps(steering))
    assert np.ptp(own, axis=0).max() > 0.1
    np.testing.assert_allclose(
        ideal, np.broadcast_to(steering.ideal_effects_, ideal.shape), atol=1e-8
    )
    np.testing.assert_allclose(steering.ideal_effects_, own.mean(axis=0), atol=1e-8)


def test_a_step_of_twice_the_length_has_twice_the_effect_in_every_state():
    H, concept, groups = states(world(3, 6, 2), 900, seed=3)
    steering = ConceptSteering().fit(H, concept, sensitive_features=groups)
    probe = steering.probes_[0, 0]
    for alpha in (-1.0, 0.5, 4.0):
        change = (steering.transform(H, alpha=alpha, sensitive_features=groups) - H) @ probe
        np.testing.assert_allclose(change, alpha * steering.ideal_effects_[0], rtol=1e-9)


def test_the_effect_on_a_shared_probe_is_equal_where_groups_are_inferred():
    H, concept, groups = states(world(3, 6, 2), 900, seed=3)
    steering = ConceptSteering().fit(H, concept, sensitive_features=groups)
    moved = steering.transform(H, alpha=2.0)
    np.testing.assert_allclose(
        (moved - H) @ steering.probes_[0, 0], 2.0 * steering.ideal_effects_[0], rtol=1e-9
    )
    weights = group_posterior(population_densities(steering.distribution_), H).T
    np.testing.assert_allclose(moved - H, 2.0 * weights @ steering.ideal_directions_, atol=1e-9)
    some = np.where(np.arange(900) % 2, groups, None)
    mixed = steering.transform(H, alpha=2.0, sensitive_features=some)
    np.testing.assert_array_equal(
        mixed[1::2], steering.transform(H, alpha=2.0, sensitive_features=groups)[1::2]
    )
    np.testing.assert_array_equal(mixed[::2], moved[::2])


def test_every_probe_leaves_one_direction_the_mean_of_the_groups():
    H, concept, groups = states(world(3, 6, 2), 900, seed=3)
    steering = ConceptSteering(probe="every").fit(H, concept, sensitive_features=groups)
    expected = np.broadcast_to(steering.directions_.mean(axis=0), (3, 6))
    np.testing.assert_allclose(steering.ideal_directions_, expected, atol=1e-9)


def test_for_their_own_probes_groups_keep_their_directions_and_change_lengths():
    H, concept, groups = states(world(3, 6, 2), 900, seed=3)
    steering = ConceptSteering(probe="own", borrow=False).fit(H, concept, sensitive_features=groups)
    lengths = np.linalg.norm(steps(steering), axis=2)
    one, other = steps(steering) / lengths[..., None]
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert np.abs(lengths[1] / lengths[0] - 1).max() > 0.1


def test_rows_or_groups_share_the_mean_effect_that_is_kept():
    H, concept, groups = states(world(3, 6, 2), 900, seed=3)
    probe = np.arange(6.0)
    by_row = ConceptSteering(probe=probe, mean_over="rows").fit(
        H, concept, sensitive_features=groups
    )
    by_group = ConceptSteering(probe=probe).fit(H, concept, sensitive_features=groups)
    own = by_row.directions_ @ probe
    shares = [np.mean(groups == g) for g in "abc"]
    assert by_row.ideal_effects_[0] == pytest.approx(own @ shares)
    assert by_group.ideal_effects_[0] == pytest.approx(own.mean())
    assert abs(own @ shares - own.mean()) > 0.05 * abs(own.mean())


# ---- the mathematics ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_probes", [1, 2])
@pytest.mark.parametrize("draw", [random_gaussians, tied_gaussians])
def test_no_law_of_equal_effects_is_nearer(draw, n_probes, seed):
    law = draw(2, 3, 3, seed)
    rng = np.random.default_rng(seed)
    probes, effects = rng.normal(size=(3, n_probes, 3)), rng.normal(size=n_probes)
    law = with_parts(law, counts=1000 * law.priors)
    solution = equal_effect(law, probes, effects)

    def divergence(means):
        each = gaussian_kl(means.reshape(2, 3, 3), law.covariances, law.means, law.covariances)
        return mixture_kl(law.priors, law.priors, each)

    def violation(means):
        moved = means.reshape(2, 3, 3)
        return (np.einsum("akj,aj->ak", probes, moved[1] - moved[0]) - effects).ravel()

    found = minimize(
        divergence,
        law.means.ravel(),
        constraints={"type": "eq", "fun": violation},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert np.abs(violation(found.x)).max() < 1e-8
    assert np.abs(violation(solution.distribution.means.ravel())).max() < 1e-9
    exact = divergence(solution.distribution.means.ravel())
    assert exact == pytest.approx(solution.kl_divergence, rel=1e-9)
    assert exact <= found.fun + 1e-9
    assert exact == pytest.approx(found.fun, rel=1e-5)


def test_the_closed_form_is_that_of_the_documents():
    law = with_parts(random_gaussians(2, 3, 4, 5), counts=np.array([[9.0, 30, 50], [20, 5, 70]]))
    v, C = concept_directions(law), direction_covariances(law)
    R = np.random.default_rng(0).normal(size=(3, 4, 2))
    e = np.array([0.7, -2.0])
    solution = equal_effect(law, R.mT, e)
    for a in range(3):
        gram = np.linalg.inv(R[a].T @ C[a] @ R[a])
        expected = v[a] + C[a] @ R[a] @ gram @ (e - R[a].T @ v[a])
        np.testing.assert_allclose(solution.directions[a], expected)
    lost = solution.directions - v
    loss = np.einsum("aj,ajk,ak->", lost, np.linalg.inv(C), lost) / (2 * law.counts.sum())
    assert loss == pytest.approx(solution.kl_divergence)


def test_groups_that_agree_already_stay():
    law = random_gaussians(2, 1, 4, 3)
    parts = {name: np.repeat(getattr(law, name), 3, axis=1) for name in ("means", "covariances")}
    parts["means"] = parts["means"] + np.arange(3.0)[None, :, None]
    law = with_parts(
        law,
        groups=np.arange(3),
        priors=np.full((2, 3), 1 / 6),
        counts=np.full((2, 3), 50.0),
        **parts,
    )
    every = np.broadcast_to(np.eye(4), (3, 4, 4))
    for probes in (np.ones((3, 1, 4)), own_probes(law)[:, None], every):
        solution = equal_effect(law, probes, probes[0] @ concept_directions(law)[0])
        np.testing.assert_allclose(solution.distribution.means, law.means, atol=1e-12)
        assert solution.kl_divergence == pytest.approx(0.0, abs=1e-20)


def test_swapping_labels_turns_the_directions_round():
    H, concept, groups = states(world(3, 5, 1), 600, seed=2)
    one = ConceptSteering().fit(H, concept, sensitive_features=groups)
    other = ConceptSteering(pos_label=0).fit(H, concept, sensitive_features=groups)
    assert (one.pos_label_, other.pos_label_) == (1, 0)
    np.testing.assert_allclose(one.ideal_directions_, -other.ideal_directions_)
    np.testing.assert_allclose(one.ideal_.means, other.ideal_.means)
    assert one.kl_divergence_ == pytest.approx(other.kl_divergence_)


def test_the_order_of_groups_does_not_matter():
    H, concept, groups = states(world(3, 5, 1), 600, seed=2)
    one = ConceptSteering().fit(H, concept, sensitive_features=groups)
    renamed = pd.Series(groups).map({"a": "z", "b": "y", "c": "x"})
    other = ConceptSteering().fit(H, concept, sensitive_features=renamed)
    np.testing.assert_allclose(one.ideal_directions_, other.ideal_directions_[::-1])


def test_other_units_of_the_states_are_other_units_of_the_steps():
    H, concept, groups = states(world(3, 5, 1), 600, seed=2)
    units = np.array([1.0, 10.0, 0.1, 3.0, 7.0])
    one = ConceptSteering().fit(H, concept, sensitive_features=groups)
    other = ConceptSteering().fit(H * units, concept, sensitive_features=groups)
    np.testing.assert_allclose(other.ideal_directions_, one.ideal_directions_ * units)
    np.testing.assert_allclose(other.ideal_effects_, one.ideal_effects_)


def test_the_shared_probe_is_the_discriminant_that_is_blind_to_groups():
    H, concept, groups = states(world(3, 5, 1), 3000, seed=2)
    steering = ConceptSteering(shrinkage=0.0, covariance_type="full", borrow=False)
    steering.fit(H, concept, sensitive_features=groups)
    blind = LinearDiscriminantAnalysis(solver="lsqr").fit(H, concept)
    np.testing.assert_allclose(shared_probe(steering.distribution_), blind.coef_[0], rtol=1e-8)
    for own, group in zip(own_probes(steering.distribution_), "abc", strict=True):
        rows = groups == group
        expected = LinearDiscriminantAnalysis(solver="lsqr").fit(H[rows], concept[rows]).coef_[0]
        np.testing.assert_allclose(own, expected, rtol=1e-8)


# ---- uncertainty ------------------------------------------------------------------------------


def test_directions_scatter_as_their_covariances_say():
    geometry, probe = world(3, 4, 0), np.array([1.0, -1.0, 0.5, 2.0])
    fits = [
        fit(ConceptSteering(shrinkage=0.0), *states(geometry, 400, seed=s))
        for s in range(1000, 1300)
    ]
    own = np.array([fit.directions_ for fit in fits])
    said = np.mean([fit.direction_covariances_ for fit in fits], axis=0)
    for a in range(3):
        seen = np.cov(own[:, a].T)
        error = np.linalg.norm(seen - said[a]) / np.linalg.norm(said[a])
        assert error < 0.25
    table = fits[0].effects(probe)
    variances = np.einsum("j,ajk,k->a", probe, fits[0].direction_covariances_, probe)
    np.testing.assert_allclose(table["standard_error"], np.sqrt(variances))
    truth = geometry[1] @ probe
    z = np.array(
        [(f.effects(probe)["before"] - truth) / f.effects(probe)["standard_error"] for f in fits]
    )
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_borrowing_helps_where_rows_are_few(seed):
    geometry = world(3, 64, seed)
    few, many = states(geometry, 600, seed=100 + seed), states(geometry, 20_000, seed=200 + seed)
    judge = LogisticRegression(max_iter=5000).fit(*many[:2]).coef_[0]
    spreads = {}
    for borrow in (False, True):
        steering = fit(ConceptSteering(borrow=borrow), *few)
        spreads[borrow] = np.ptp(steering.effects(judge)["after"])
        kept = steering.effects()
        assert kept["after"].mean() == pytest.approx(kept["before"].mean())
    assert spreads[True] < spreads[False]
    assert spreads[True] < 0.25 * np.ptp(steering.effects(judge)["before"])


def test_borrowing_does_not_matter_where_rows_are_many():
    rows = states(world(3, 4, 1), 60_000, seed=2)
    with_others, alone = (fit(ConceptSteering(borrow=b), *rows) for b in (True, False))
    np.testing.assert_array_equal(with_others.directions_, alone.directions_)
    np.testing.assert_allclose(
        with_others.ideal_directions_, alone.ideal_directions_, rtol=0, atol=0.02
    )


# ---- using it ---------------------------------------------------------------------------------


def test_the_table_of_effects_names_groups():
    H, concept, groups = states(world(3, 5, 1), 600, seed=2)
    steering = ConceptSteering().fit(H, concept, sensitive_features=groups)
    table = steering.effects()
    assert table.index.tolist() == ["a", "b", "c"]
    assert table.columns.tolist() == ["before", "after", "standard_error"]
    for group in "abc":
        assert table.loc[group, "after"] == pytest.approx(
            steering.vector(group) @ steering.probes_[0, 0]
        )
    pairs = np.column_stack([groups, np.arange(600) % 2])
    several = ConceptSteering().fit(H, concept, sensitive_features=pairs)
    assert several.effects().index.tolist() == several.groups_.tolist()
    assert several.vector(("a", "0")).shape == (5,)


def test_frames_and_arrays_and_weights():
    H, concept, groups = states(world(2, 3, 1), 400, seed=2)
    plain = ConceptSteering().fit(H, concept, sensitive_features=groups)
    names = np.where(concept == 1, "yes", "no")
    framed = ConceptSteering().fit(
        pd.DataFrame(H), pd.Series(names), sensitive_features=pd.Series(groups)
    )
    assert framed.pos_label_ == "yes"
    np.testing.assert_array_equal(framed.ideal_directions_, plain.ideal_directions_)
    weights = np.arange(400) % 3
    weighted = ConceptSteering().fit(H, concept, sensitive_features=groups, sample_weight=weights)
    times = np.repeat(np.arange(400), weights)
    repeated = ConceptSteering().fit(H[times], concept[times], sensitive_features=groups[times])
    np.testing.assert_allclose(weighted.ideal_directions_, repeated.ideal_directions_)


def test_it_is_an_estimator():
    steering = ConceptSteering(probe="own", shrinkage=0.2)
    copied = clone(steering)
    assert copied.get_params() == steering.get_params()
    assert "probe='own'" in repr(steering)
    with pytest.raises(NotFittedError):
        steering.vector("a")
    with pytest.raises(NotFittedError):
        steering.transform(np.zeros((2, 3)))


def test_a_fit_that_fails_changes_nothing():
    H, concept, groups = states(world(2, 3, 1), 400, seed=2)
    steering = ConceptSteering().fit(H, concept, sensitive_features=groups)
    before = steering.ideal_directions_
    with pytest.raises(ValueError, match="concept has 3 values"):
        steering.fit(H, np.arange(400) % 3, sensitive_features=groups)
    assert steering.ideal_directions_ is before


ROWS = states(world(2, 3, 1), 200, seed=2)


@pytest.mark.parametrize(
    ("parameters", "change", "message"),
    [
        ({}, lambda H, c, g: (H, np.arange(200) % 3, g), r"concept has 3 values \(\[0, 1, 2\]\)"),
        ({}, lambda H, c, g: (H, c * 0, g), "one class only"),
        ({}, lambda H, c, g: (H, c, np.full(200, "a")), "one group only"),
        ({}, lambda H, c, g: (H, c, np.where(c, "a", "b")), "label=0, group='a' has no rows"),
        ({}, lambda H, c, g: (H, c[:9], g), "y has 9 labels, but X has 200 rows"),
        ({}, lambda H, c, g: (H, c, g[:9]), "sensitive_features has 9 rows, but X has 200"),
        ({}, lambda H, c, g: (H * np.nan, c, g), "contains NaN"),
        ({"pos_label": 7}, lambda *rows: rows, r"pos_label=7 is not among the concept's values"),
        ({"probe": "mine"}, lambda *rows: rows, "'probe' parameter of ConceptSteering must be"),
        ({"probe": [1.0, 2.0]}, lambda *rows: rows, r"probe has shape \(2,\), but states have 3"),
        ({"probe": np.zeros(3)}, lambda *rows: rows, "group='a'.*probes"),
        ({"probe": [1.0, np.nan, 0.0]}, lambda *rows: rows, "probe has slopes that are NaN"),
        ({"probe": np.ones((2, 3))}, lambda *rows: rows, "probes.*linearly dependent"),
    ],
)
def test_what_cannot_be_fitted_is_a_sentence(parameters, change, message):
    with pytest.raises(ValueError, match=message):
        fit(ConceptSteering(**parameters), *change(*ROWS))


def test_what_cannot_be_steered_is_a_sentence():
    steering = fit(ConceptSteering(), *ROWS)
    with pytest.raises(ValueError, match="'z'"):
        steering.vector("z")
    with pytest.raises(ValueError, match="'z'"):
        steering.transform(ROWS[0][:2], sensitive_features=["a", "z"])
    with pytest.raises(ValueError, match="H has 2 dimensions, but ConceptSteering was fitted on"):
        steering.transform(np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"probe.*\(2,\).*\(3,\)"):
        steering.effects(np.zeros(2))
    with pytest.raises(ValueError, match="probe has slopes that are NaN or infinite"):
        steering.effects(np.full(3, np.nan))
    with pytest.raises(ValueError, match="probe"):
        steering.effects(["a", "b", "c"])
    for alpha in (np.inf, np.nan, None):
        with pytest.raises(ValueError, match=f"alpha={alpha}"):
            steering.transform(ROWS[0], alpha=alpha)
        with pytest.raises(ValueError, match=f"alpha={alpha}"):
            steering.vector("a", alpha)


def test_directions_far_from_the_data_are_warned_of():
    rng = np.random.default_rng(0)
    groups, concept = np.repeat(["a", "b"], 1000), np.tile([0, 1], 1000)
    H = rng.normal(size=(2000, 4))
    H[:, 0] += concept * np.where(groups == "a", 4.0, 1.0)
    with pytest.warns(SteeringWarning, match="probe='shared' or 'own'"):
        ConceptSteering(probe="both").fit(H, concept, sensitive_features=groups)
    H[groups == "b", 0] -= 0.99 * concept[groups == "b"]
    with pytest.warns(SteeringWarning, match=r"effects\(\)"):
        ConceptSteering(probe="own").fit(H, concept, sensitive_features=groups)
