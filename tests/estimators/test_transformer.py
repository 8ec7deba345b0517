import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import multivariate_normal
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.datasets import make_gaussian_subgroups
from tests.conftest import examples

pytestmark = pytest.mark.slow

CONSTRAINTS = ["equalized_odds", "equal_opportunity", "demographic_parity"]
STRATEGIES = [
    {"conditions": conditions, "label_strategy": strategy}
    for conditions in ("affine", "whitened", "identical")
    for strategy in ("posterior", "none")
    if (conditions, strategy) != ("identical", "none")
]
VARIANTS = [*STRATEGIES, {"constraint": "equal_opportunity"}, {"constraint": "demographic_parity"}]


def draw(seed=0, n_samples=900, n_labels=3, n_groups=3, n_features=3):
    sample = make_gaussian_subgroups(
        n_samples,
        n_labels=n_labels,
        n_groups=n_groups,
        n_features=n_features,
        random_state=seed,
    )
    return sample.data, sample.target


def steering(**parameters):
    return OptimalSteeringTransformer("group", **parameters)


def numbers(X):
    return X.drop(columns="group").to_numpy()


def moments(values):
    return values.mean(axis=0), np.cov(values.T, bias=True)


def name_of(variant):
    return "-".join(variant.values())


@pytest.fixture
def data():
    return draw()


# The label never moves a row


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_labels_of_rows_left_out_of_fit_change_nothing(data, rng, constraint):
    X, y = data
    weights = np.where(np.arange(len(X)) < 600, 1.0, 0.0)
    shuffled = y.copy()
    shuffled[600:] = rng.permutation(y[600:])
    first, second = (
        steering(constraint=constraint).fit_transform(X, labels, sample_weight=weights)
        for labels in (y, shuffled)
    )
    np.testing.assert_array_equal(first, second)
    expected = steering(constraint=constraint).fit(X[:600], y[:600]).transform(X)
    np.testing.assert_allclose(first, expected, atol=1e-9)


def test_labels_of_fit_do_matter(data, rng):
    X, y = data
    shuffled = pd.Series(rng.permutation(y))
    difference = steering().fit_transform(X, y) - steering().fit_transform(X, shuffled)
    assert np.abs(difference).max() > 0.1


def test_a_tree_on_discrete_features_learns_no_labels_from_steering():
    rng = np.random.default_rng(2)
    n = 4000
    group = rng.choice(["a", "b", "c"], size=n, p=[0.4, 0.4, 0.2])
    y = rng.integers(2, size=n)
    centre = y * np.select([group == "a", group == "b"], [1.0, 0.5], 1.5)
    X = pd.DataFrame(np.round(rng.normal(centre[:, None], 1.5, size=(n, 2))), columns=["u", "v"])
    X["group"] = group
    train, new = slice(0, n // 2), slice(n // 2, n)
    fitted = steering(reference_group="c", family="normal")
    with pytest.warns(SteeringWarning, match="discrete"):
        moved_train = fitted.fit_transform(X[train], y[train])
    moved_new = fitted.transform(X[new])

    def accuracies(seen, unseen):
        tree = DecisionTreeClassifier(random_state=0).fit(seen, y[train])
        return tree.score(seen, y[train]), tree.score(unseen, y[new])

    plain = accuracies(numbers(X)[train], numbers(X)[new])
    assert plain[0] < 0.75
    assert accuracies(moved_train, moved_new) == pytest.approx(plain, abs=0.05)
    # Labelled maps do give the label away, and the tree then fails on rows without one.
    leaky = accuracies(fitted.transform_labeled(X[train], y[train]), moved_new)
    assert leaky[0] > 0.9
    assert leaky[1] < plain[1] - 0.05


# What transform does to rows


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
@pytest.mark.parametrize("reference", ["a", "b", "c"])
def test_the_reference_group_comes_back_unchanged(data, variant, reference):
    X, y = data
    fitted = steering(reference_group=reference, **variant).fit(X, y)
    rows = (X["group"] == reference).to_numpy()
    for moved in (fitted.transform(X), fitted.transform_labeled(X, y)):
        np.testing.assert_array_equal(moved[rows], numbers(X)[rows])
        for other in {"a", "b", "c"} - {reference}:
            where = (X["group"] == other).to_numpy()
            assert np.abs(moved[where] - numbers(X)[where]).max() > 0.1


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_strength_is_linear_and_zero_is_the_identity(data, variant):
    X, y = data
    none, some, all_ = (steering(strength=s, **variant).fit(X, y) for s in (0, 0.3, 1))
    for move in (lambda fitted: fitted.transform(X), lambda fitted: fitted.transform_labeled(X, y)):
        np.testing.assert_array_equal(move(none), numbers(X))
        expected = 0.7 * numbers(X) + 0.3 * move(all_)
        np.testing.assert_allclose(move(some), expected, rtol=0, atol=1e-12)


def test_a_column_constant_in_training_is_returned_unchanged(data):
    X, y = data
    X.insert(1, "constant", 3.0)
    fitted = steering().fit(X, y)
    np.testing.assert_array_equal(fitted.steered_features_, [0, 2, 3])
    new = X.assign(constant=np.arange(len(X), dtype=float))
    moved = fitted.transform(new)
    np.testing.assert_array_equal(moved[:, 1], new["constant"])
    without = X.drop(columns="constant")
    np.testing.assert_allclose(
        np.delete(moved, 1, axis=1), steering().fit_transform(without, y), atol=1e-12
    )


# Permutations and units


def agree(first, second):
    np.testing.assert_allclose(first, second, atol=1e-5)


@examples(4, derandomize=True)
@given(st.permutations(range(3)), st.integers(0, 20), st.sampled_from(VARIANTS))
def test_permuting_the_names_of_groups_changes_nothing(order, seed, variant):
    X, y = draw(seed, n_samples=600)
    renamed = dict(zip("abc", np.array(["x", "y", "z"])[list(order)], strict=True))
    first = steering(reference_group="b", **variant).fit_transform(X, y)
    second = steering(reference_group=renamed["b"], **variant).fit_transform(
        X.assign(group=X["group"].map(renamed)), y
    )
    agree(first, second)


@examples(4, derandomize=True)
@given(st.permutations(range(3)), st.integers(0, 20), st.sampled_from(VARIANTS))
def test_permuting_the_values_of_labels_changes_nothing(order, seed, variant):
    if variant.get("conditions") == "whitened":
        order = [*(label for label in order if label != 2), 2]  # the last label whitens
    X, y = draw(seed, n_samples=600)
    first = steering(pos_label=1, **variant).fit_transform(X, y)
    second = steering(pos_label=order[1], **variant).fit_transform(X, y.map(dict(enumerate(order))))
    agree(first, second)


@examples(4, derandomize=True)
@given(st.integers(0, 20), st.sampled_from(VARIANTS))
def test_permuting_rows_permutes_rows(seed, variant):
    X, y = draw(seed, n_samples=600)
    order = np.random.default_rng(seed).permutation(len(X))
    first = steering(**variant).fit_transform(X, y)
    agree(first[order], steering(**variant).fit_transform(X.iloc[order], y.iloc[order]))


@examples(4, derandomize=True)
@given(st.permutations(["x0", "x1", "x2", "group"]), st.sampled_from(VARIANTS))
def test_permuting_features_permutes_features(order, variant):
    X, y = draw(1, n_samples=600)
    first = steering(**variant).set_output(transform="pandas").fit_transform(X, y)
    second = steering(**variant).set_output(transform="pandas").fit_transform(X[order], y)
    assert list(second.columns) == [name for name in order if name != "group"]
    agree(first, second[first.columns])


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize(
    "variant", [v for v in VARIANTS if v.get("conditions") != "whitened"], ids=name_of
)
def test_rescaling_and_shifting_features_does_the_same_to_the_result(
    data, covariance_type, variant
):
    X, y = data
    scale, shift = np.array([0.01, -7.0, 300.0]), np.array([1.0, -20.0, 500.0])
    rescaled = X.copy()
    rescaled[["x0", "x1", "x2"]] = numbers(X) * scale + shift
    parameters = {"covariance_type": covariance_type, "shrinkage": 0.2, **variant}
    first = steering(**parameters).fit_transform(X, y)
    second = steering(**parameters).fit_transform(rescaled, y)
    agree(first, (second - shift) / scale)


def test_whitened_conditions_do_depend_on_the_units(data):
    X, y = data
    first = steering(conditions="whitened").fit_transform(X, y)
    second = steering(conditions="whitened").fit_transform(X.assign(x1=10 * X["x1"]), y)
    assert np.abs(first - second / [1, 10, 1]).max() > 1e-3


# Weights are frequencies


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_weights_are_frequencies(data, rng, constraint, covariance_type):
    X, y = data
    weights = rng.integers(0, 4, size=len(X))
    parameters = {
        "constraint": constraint,
        "covariance_type": covariance_type,
        "shrinkage": "auto",
        "priors": "independent",
    }
    weighted = steering(**parameters).fit(X, y, sample_weight=weights)
    rows = np.repeat(np.arange(len(X)), weights)
    repeated = steering(**parameters).fit(X.iloc[rows], y.iloc[rows])
    agree(weighted.transform(X), repeated.transform(X))
    agree(weighted.ideal_sample_weight(X, y), repeated.ideal_sample_weight(X, y))
    np.testing.assert_allclose(weighted.distribution_.counts, repeated.distribution_.counts)
    assert weighted.reference_group_ == repeated.reference_group_


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("vanishing", ["group", "label"])
def test_rows_of_weight_zero_are_absent(constraint, vanishing):
    X, y = draw(n_labels=4, n_groups=4)
    gone = X["group"] == "b" if vanishing == "group" else y == 3
    X.loc[gone, "x0"] = 1e6
    weighted = steering(constraint=constraint).fit(X, y, sample_weight=np.where(gone, 0.0, 1.0))
    absent = steering(constraint=constraint).fit(X[~gone], y[~gone])
    np.testing.assert_array_equal(weighted.classes_, absent.classes_)
    np.testing.assert_array_equal(weighted.groups_, absent.groups_)
    assert len(absent.classes_) + len(absent.groups_) == 7
    assert weighted.pos_label_ == absent.pos_label_
    agree(weighted.transform(X[~gone]), absent.transform(X[~gone]))
    if vanishing == "group":
        with pytest.raises(ValueError, match=r"group\(s\) \['b'\] were not seen in fit"):
            weighted.transform(X)
    else:
        with pytest.raises(ValueError, match=r"label\(s\) \[3\] were not seen in fit"):
            weighted.transform_labeled(X, y)


# Containers, names and types


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda g: g.astype(object), id="object"),
        pytest.param(lambda g: g.astype("category"), id="category"),
        pytest.param(lambda g: g.map({"a": 1, "b": 2, "c": 3}), id="int"),
        pytest.param(lambda g: g.map({"a": 1, "b": 2, "c": 3}).astype("Int64"), id="Int64"),
        pytest.param(lambda g: g.map({"a": -0.5, "b": 2.5, "c": 3}), id="float"),
        pytest.param(lambda g: g.map({"a": -0.5, "b": 2, "c": "text"}), id="mixed"),
        pytest.param(lambda g: g.map({"a": ("a", 0), "b": ("b", 0), "c": ("b", 1)}), id="tuple"),
    ],
)
def test_groups_of_any_type(data, convert):
    X, y = data
    group = convert(X["group"])
    converted = X.assign(group=group)
    expected = steering(reference_group="c").fit_transform(X, y)
    reference = group[X["group"] == "c"].iloc[0]
    fitted = steering(reference_group=reference).fit(converted, y)
    assert set(fitted.groups_.tolist()) == set(group)
    assert fitted.reference_group_ == reference
    assert fitted.distribution_.groups.tolist() == fitted.groups_.tolist()
    agree(fitted.transform(converted), expected)
    plain = OptimalSteeringTransformer(reference_group=reference)
    features = X.drop(columns="group")
    agree(plain.fit_transform(features, y, sensitive_features=group), expected)


def test_boolean_groups(data):
    X, y = data
    X["group"] = X["group"] == "a"
    fitted = steering(reference_group=True).fit(X, y)
    np.testing.assert_array_equal(fitted.groups_, [False, True])
    renamed = X.assign(group=X["group"].map({True: "yes", False: "no"}))
    expected = steering(reference_group="yes").fit_transform(renamed, y)
    np.testing.assert_array_equal(fitted.transform(X), expected)


def test_two_columns_mean_their_intersection(data, rng):
    X, y = data
    X.insert(1, "older", rng.integers(2, size=len(X)) == 1)
    both = OptimalSteeringTransformer(["group", "older"]).fit(X, y)
    assert both.groups_.dtype == object
    assert both.groups_.shape == (6,)
    assert list(both.groups_) == [(g, older) for g in "abc" for older in (False, True)]
    assert both.reference_group_ in list(both.groups_)
    assert list(both.get_feature_names_out()) == ["x0", "x1", "x2"]
    features = X[["x0", "x1", "x2"]]
    joined = X["group"] + X["older"].astype(str)
    expected = OptimalSteeringTransformer().fit_transform(features, y, sensitive_features=joined)
    np.testing.assert_array_equal(both.transform(X), expected)
    argument = OptimalSteeringTransformer(reference_group=("b", True))
    argument.fit(features, y, sensitive_features=X[["group", "older"]])
    assert argument.reference_group_ == ("b", True)
    unmoved = ((X["group"] == "b") & X["older"]).to_numpy()
    moved = argument.transform(features, sensitive_features=X[["group", "older"]])
    np.testing.assert_array_equal(moved[unmoved], features[unmoved])


@pytest.mark.parametrize("labels", [["no", "maybe", "yes"], [False, False, True], [0.0, 5.0, -1.0]])
def test_labels_of_any_type(data, labels):
    X, y = data
    converted = y.map(dict(enumerate(labels)))
    fitted = steering().fit(X, converted)
    np.testing.assert_array_equal(fitted.classes_, sorted(set(labels)))
    assert fitted.pos_label_ == max(labels)
    codes = np.searchsorted(fitted.classes_, converted.to_numpy())
    expected = steering().fit(X, codes)
    agree(fitted.transform(X), expected.transform(X))
    agree(fitted.transform_labeled(X, list(converted)), expected.transform_labeled(X, codes))


def test_fitting_on_float32_computes_in_float64(data):
    X, y = data
    narrow = X.astype({"x0": np.float32, "x1": np.float32, "x2": np.float32})
    wide = narrow.astype({"x0": np.float64, "x1": np.float64, "x2": np.float64})
    first, second = steering().fit(narrow, y), steering().fit(wide, y)
    np.testing.assert_array_equal(first.distribution_.covariances, second.distribution_.covariances)


# What it guarantees


@pytest.mark.parametrize("conditions", ["affine", "whitened", "identical"])
def test_steered_subgroups_have_the_ideal_moments(data, conditions):
    X, y = data
    fitted = steering(shrinkage=0, conditions=conditions).fit(X, y)
    moved, group = fitted.transform_labeled(X, y), X["group"].to_numpy()
    for i, label in enumerate(fitted.classes_):
        for a, name in enumerate(fitted.groups_):
            mean, covariance = moments(moved[(y == label) & (group == name)])
            np.testing.assert_allclose(mean, fitted.ideal_.means[i, a], atol=1e-6)
            np.testing.assert_allclose(covariance, fitted.ideal_.covariances[i, a], atol=1e-6)
            np.testing.assert_array_equal(fitted.ideal_.means[i, a], fitted.ideal_.means[i, 0])
    assert fitted.ideal_.means.shape == (3, 3, 3)
    assert fitted.result_.converged


def test_equal_opportunity_equalises_the_positive_class(data):
    X, y = data
    fitted = steering(constraint="equal_opportunity", pos_label=1, shrinkage=0).fit(X, y)
    assert fitted.ideal_.means.shape == (1, 3, 3)
    assert fitted.distribution_.labels.tolist() == [1]
    for moved in (fitted.transform(X), fitted.transform_labeled(X, y)):
        for name in fitted.groups_:
            mean, covariance = moments(moved[(y == 1) & (X["group"] == name)])
            np.testing.assert_allclose(mean, fitted.ideal_.means[0, 0], atol=1e-6)
            np.testing.assert_allclose(covariance, fitted.ideal_.covariances[0, 0], atol=1e-6)
    negatives = [moments(moved[(y == 0) & (X["group"] == g)])[0] for g in fitted.groups_]
    assert np.ptp(negatives, axis=0).max() > 0.1


def test_demographic_parity_equalises_the_marginal(data):
    X, y = data
    fitted = steering(constraint="demographic_parity", shrinkage=0).fit(X, y)
    assert fitted.ideal_.means.shape == (1, 3, 3)
    moved = fitted.transform(X)
    for name in fitted.groups_:
        mean, covariance = moments(moved[X["group"] == name])
        np.testing.assert_allclose(mean, fitted.ideal_.means[0, 0], atol=1e-6)
        np.testing.assert_allclose(covariance, fitted.ideal_.covariances[0, 0], atol=1e-6)
    assert np.abs(moved - numbers(X)).max() > 0.1


@pytest.mark.parametrize("constraint", ["equal_opportunity", "demographic_parity"])
def test_conditions_and_label_strategy_matter_under_equalized_odds_only(data, constraint):
    X, y = data
    expected = steering(constraint=constraint).fit_transform(X, y)
    for options in [*STRATEGIES, {"conditions": "identical", "label_strategy": "none"}]:
        moved = steering(constraint=constraint, **options).fit_transform(X, y)
        np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize(
    "variant",
    [
        {"label_strategy": "none"},
        {"label_strategy": "none", "conditions": "whitened"},
        {"constraint": "equal_opportunity"},
        {"constraint": "demographic_parity"},
    ],
    ids=name_of,
)
def test_one_affine_map_a_group_without_labels(data, variant):
    X, y = data
    fitted = steering(**variant).fit(X, y)
    moved = fitted.transform(X)
    for a, name in enumerate(fitted.groups_):
        rows = (X["group"] == name).to_numpy()
        design = np.column_stack([numbers(X)[rows], np.ones(rows.sum())])
        solution, *_ = np.linalg.lstsq(design, moved[rows])
        np.testing.assert_allclose(design @ solution, moved[rows], atol=1e-9)
        np.testing.assert_allclose(solution[:-1].T, fitted.group_maps_.matrix[a], atol=1e-9)
        assert abs(np.linalg.det(solution[:-1])) > 1e-3


def test_posterior_weighted_maps_are_not_affine(data):
    X, y = data
    moved = steering().fit_transform(X, y)
    rows = (X["group"] == "a").to_numpy()
    design = np.column_stack([numbers(X)[rows], np.ones(rows.sum())])
    solution, *_ = np.linalg.lstsq(design, moved[rows])
    assert np.abs(design @ solution - moved[rows]).max() > 0.01


@pytest.mark.parametrize("conditions", ["affine", "whitened", "identical"])
def test_transform_by_hand(data, conditions):
    """sum_i p(i | x, a) F_a^-1(mu~_ia + M_ia (x - mu_ia)), M_ia by optimal transport."""
    X, y = data
    fitted = steering(conditions=conditions).fit(X, y)
    law, target = fitted.distribution_, fitted.result_.target
    unit = np.sqrt(np.einsum("ia,iajj->j", law.priors, law.covariances))
    expected = np.empty((len(X), 3))
    for row, (x, name) in enumerate(zip(numbers(X)[:60], X["group"], strict=False)):
        a = fitted.groups_.tolist().index(name)
        weights, images = [], []
        for i in range(3):
            normal = multivariate_normal(law.means[i, a], law.covariances[i, a])
            weights.append(law.priors[i, a] * normal.pdf(x))
            source = law.covariances[i, a] / np.outer(unit, unit)
            goal = target.covariances[i, a] / np.outer(unit, unit)
            root = np.real(sqrtm(source))
            inverse = np.linalg.inv(root)
            matrix = inverse @ np.real(sqrtm(root @ goal @ root)) @ inverse
            native = target.means[i, a] + unit * (matrix @ ((x - law.means[i, a]) / unit))
            frame = fitted.result_.group_maps[a]
            images.append(np.linalg.solve(frame.matrix, native - frame.offset))
        expected[row] = np.average(images, axis=0, weights=weights)
    np.testing.assert_allclose(fitted.transform(X)[:60], expected[:60], atol=1e-8)


# The positive label, the reference group, the weights


def test_pos_label_chooses_the_law_of_equal_opportunity(data):
    X, y = data
    default = steering(constraint="equal_opportunity").fit(X, y)
    assert default.pos_label_ == 2
    for label in range(3):
        fitted = steering(constraint="equal_opportunity", pos_label=label).fit(X, y)
        for a, name in enumerate(fitted.groups_):
            rows = numbers(X)[(y == label) & (X["group"] == name)]
            np.testing.assert_allclose(fitted.distribution_.means[0, a], rows.mean(axis=0))
    agree(fitted.transform(X), default.transform(X))


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_default_reference_group(constraint):
    X, y = draw(3)
    rows = X["group"].value_counts()
    assert steering(constraint=constraint).fit(X, y).reference_group_ == rows.idxmax()

    binary = (y == 2).map({False: "bad", True: "good"})
    rates = (binary == "good").groupby(X["group"]).mean()
    fitted = steering(constraint=constraint).fit(X, binary)
    assert fitted.reference_group_ == rates.idxmax()
    fitted = steering(constraint=constraint, pos_label="bad").fit(X, binary)
    assert fitted.reference_group_ == rates.idxmin()
    assert len({rows.idxmax(), rates.idxmax(), rates.idxmin()}) > 1


def test_ties_between_reference_groups_go_to_the_first(rng):
    X = pd.DataFrame(rng.normal(size=(90, 2)), columns=["u", "v"])
    X["group"] = np.tile(["c", "b", "a"], 30)
    y = np.repeat([0, 1, 2], 30)
    assert steering().fit(X, y).reference_group_ == "a"
    assert steering().fit(X, y == 1).reference_group_ == "a"


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("priors", ["keep", "independent", "nearest"])
def test_ideal_sample_weight(data, constraint, priors):
    X, y = data
    fitted = steering(constraint=constraint, priors=priors).fit(X, y)
    weights = fitted.ideal_sample_weight(X, y)
    assert weights.shape == (len(X),)
    joint = pd.crosstab(y, X["group"], values=weights, aggfunc="sum").to_numpy() / len(X)
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    plain = pd.crosstab(y, X["group"], normalize=True).to_numpy()
    if priors == "keep":
        np.testing.assert_array_equal(weights, 1.0)
        assert np.abs(joint - product).max() > 0.01
        return
    assert joint.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(joint, product, atol=1e-9)
    if constraint == "equalized_odds":
        np.testing.assert_allclose(joint, fitted.ideal_.priors, atol=1e-9)
    kamiran_calders = (
        y.map(y.value_counts(normalize=True))
        * X["group"].map(X["group"].value_counts(normalize=True))
        / [plain[label, "abc".index(name)] for label, name in zip(y, X["group"], strict=True)]
    )
    if priors == "independent":
        np.testing.assert_allclose(weights, kamiran_calders)
    else:
        assert np.abs(weights - kamiran_calders).max() > 1e-3


def test_nearest_priors_are_nearer_than_independent_ones(data):
    X, y = data
    keep, nearest, independent = (
        steering(priors=priors).fit(X, y).result_.kl_divergence
        for priors in ("keep", "nearest", "independent")
    )
    assert keep < nearest < independent


# A scikit-learn citizen


def test_grid_search_over_strength_in_a_pipeline(data):
    X, y = data
    columns = ColumnTransformer(
        [("scale", StandardScaler(), ["x0", "x1", "x2"]), ("keep", "passthrough", ["group"])],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = Pipeline(
        [("columns", columns), ("steer", steering()), ("model", LogisticRegression(max_iter=1000))]
    )
    search = GridSearchCV(model, {"steer__strength": [0.0, 0.5, 1.0]}, cv=3).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.all(np.isfinite(scores))
    assert len(set(scores)) > 1
    assert search.predict(X).shape == (len(X),)
    steered = search.best_estimator_[:-1].transform(X)
    assert list(model.fit(X, y)[:-1].get_feature_names_out()) == ["x0", "x1", "x2"]
    assert steered.shape == (len(X), 3)


PRECISE = [{}, {"covariance_type": "tied"}, {"label_strategy": "none"}, *VARIANTS[-2:]]


@pytest.mark.parametrize("variant", PRECISE, ids=str)
@pytest.mark.parametrize("intervention", ["affirmative", "all_subgroups"])
def test_units_and_offsets_cost_no_digits(data, variant, intervention):
    X, y = data
    features = X.columns.drop("group")
    scale = np.array([1e-8, 1.0, 1e8])
    extreme = X.assign(
        **{name: s * (X[name] + 1e6) for name, s in zip(features, scale, strict=True)}
    )
    plain, far = (
        steering(intervention=intervention, **variant).fit_transform(table, y)
        for table in (X, extreme)
    )
    np.testing.assert_allclose(far / scale - 1e6, plain, atol=1e-6)


@pytest.mark.parametrize("variant", PRECISE, ids=str)
def test_single_precision_is_close_to_double(data, variant):
    X, y = data
    narrow = X.astype(dict.fromkeys(X.columns.drop("group"), np.float32))
    single, double = (steering(**variant).fit_transform(table, y) for table in (narrow, X))
    assert single.dtype == np.float32
    assert np.linalg.norm(single - double) < 1e-4 * np.linalg.norm(double)


def test_blocks_of_rows_do_not_matter(data, monkeypatch):
    X, y = data
    fitted = steering().fit(X, y)
    whole = fitted.transform(X)
    monkeypatch.setattr("fairsteer.core.moments._BLOCK_NUMBERS", 20)
    np.testing.assert_allclose(fitted.transform(X), whole, rtol=1e-12)


@pytest.mark.parametrize(
    "parameters", [{}, {"family": "copula"}, {"constraint": "equal_opportunity"}]
)
def test_the_callers_rows_are_not_written_to(data, parameters):
    X, y = data
    rows, groups = numbers(X), X["group"].to_numpy()
    before = rows.copy()
    fitted = OptimalSteeringTransformer(random_state=0, **parameters)
    moved = fitted.fit_transform(rows, y, sensitive_features=groups)
    assert not np.shares_memory(moved, rows)
    np.testing.assert_array_equal(rows, before)


def test_rows_without_a_logarithm_are_refused_in_the_group_that_stays_too(data):
    X, y = data
    positive = X.assign(**{name: np.exp(X[name] / 5.0) for name in X.columns.drop("group")})
    fitted = steering(family="lognormal").fit(positive, y)
    row = positive[positive["group"] == fitted.reference_group_].head(1)
    np.testing.assert_array_equal(fitted.transform(row), numbers(row))
    column = row.columns.drop("group")[0]
    with pytest.raises(ValueError, match="family='lognormal' needs positive features"):
        fitted.transform(row.assign(**{column: -1.0}))


def test_every_column_without_logarithms_is_named_wherever_its_rows_stand(data, monkeypatch):
    X, y = data
    monkeypatch.setattr("fairsteer.core.moments._BLOCK_NUMBERS", 16)
    positive = X.assign(**{name: np.exp(X[name] / 5.0) for name in X.columns.drop("group")})
    fitted = steering(family="lognormal").fit(positive, y)
    first, second = positive.columns.drop("group")[:2]
    bad = positive.copy()
    bad.iloc[0, bad.columns.get_loc(first)] = -1.0
    bad.iloc[-1, bad.columns.get_loc(second)] = -2.0
    with pytest.raises(ValueError, match=rf"\['{first}', '{second}'\] have values as low as -2"):
        fitted.transform(bad)
