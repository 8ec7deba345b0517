"""The transformer: validate, estimate, solve, map."""

from __future__ import annotations

from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from fairsteer import _validation as check
from fairsteer.affine import transport_map
from fairsteer.gaussian import (
    COVARIANCE_TYPES,
    cell_name,
    gaussians_from_moments,
    subgroup_moments,
)
from fairsteer.posterior import label_posterior
from fairsteer.priors import PRIORS, ideal_priors, prior_weights
from fairsteer.solvers import CONDITIONS, default_reference_group, nearest_ideal

CONSTRAINTS = ("equalized_odds", "equal_opportunity", "demographic_parity")
LABEL_STRATEGIES = ("posterior", "none")
_ANY_LABEL = "any"


def _check_variety(classes, groups):
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only ({classes.tolist()[0]!r}); steering compares the features "
            "given different labels and needs at least two."
        )
    if len(groups) < 2:
        raise ValueError(
            f"There is one group only ({groups.tolist()[0]!r}); steering needs rows of at least "
            "two groups."
        )


class OptimalSteeringTransformer(TransformerMixin, BaseEstimator):
    """Steer features towards the nearest law on which fair classifiers cost nothing.

    Features are taken to be Gaussian given label and group. ``fit`` estimates these laws and
    finds the ideal law nearest to them in Kullback-Leibler divergence: one on which every
    Bayes-optimal classifier treats the groups alike. ``transform`` moves each row towards it,
    knowing the row's group and not its label, into the frame of the reference group, whose
    rows stay where they are.

    Parameters
    ----------
    sensitive_feature_ids : str, int or sequence of these, default=None
        Names or positions of the columns of X that hold the sensitive attribute; several mean
        their intersection. They are dropped from the output. Alternatively pass
        ``sensitive_features=`` to the methods.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        What is to be equal between groups: the law of the features given every label, given
        the positive label, or altogether. The last two are one map per group, to which
        ``conditions`` and ``label_strategy`` do not apply.
    pos_label : object, default=None
        The positive (favourable) label; default ``classes_[-1]``.
    reference_group : object, default=None
        Group that keeps its law. Default: with two labels the group with the largest share of
        positives, otherwise the one with the most rows.
    conditions : {"affine", "whitened", "identical"}, default="affine"
        What makes a law ideal; see :func:`fairsteer.nearest_ideal`. The whitened conditions (the
        paper's) depend on the features' units: standardise first.
    covariance_type : {"full", "tied", "diag"}, default="full"
        ``"tied"`` shares a covariance among the labels of a group.
    shrinkage : float in [0, 1] or "auto", default=0.01
        See :func:`fairsteer.estimate_gaussians`.
    priors : {"keep", "independent", "nearest"}, default="keep"
        Law of (label, group) aimed at; what differs from the data is left to
        :meth:`ideal_sample_weight`.
    label_strategy : {"posterior", "none"}, default="posterior"
        What stands for the unknown label in ``transform``. ``"posterior"`` averages the
        subgroups' maps with the fitted ``p(label | x, group)``; ``"none"`` applies one
        invertible map per group.
    strength : float in [0, 1], default=1.0
        ``s`` in ``x + s (T(x) - x)``; 0 changes nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels.
    groups_ : ndarray of shape (G,)
        Groups; tuples for several sensitive columns.
    reference_group_ : object
        The group that keeps its law.
    pos_label_ : object
        The positive label.
    distribution_ : SubgroupGaussians
        Fitted law, over the features that vary. Under equal opportunity and demographic parity
        it has one label.
    ideal_ : SubgroupGaussians
        The ideal law in the reference frame.
    result_ : SteeringResult
        The solution: target in each group's own frame, divergences, optimality.
    maps_ : AffineMap of shape (K, G)
        Labelled maps into the reference frame, ``strength`` included.
    group_maps_ : AffineMap of shape (G,)
        Label-free maps into the reference frame, ``strength`` included.
    steered_features_ : ndarray of shape (d,)
        Positions, among the output columns, of the features that vary in training; constant
        ones are returned unchanged.
    n_features_in_ : int
        Columns of X, sensitive ones included.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.

    Notes
    -----
    The attribute is needed in ``transform``. The label never is: ``fit_transform`` equals
    ``fit`` and ``transform``, so a model trained on its output sees rows moved exactly as new
    rows will be. With discrete features a model that can tell the groups' grids apart (a tree)
    may recover the group.

    ``conditions="identical"`` with ``label_strategy="none"`` is refused, because together they
    change nothing.

    References
    ----------
    Sharma, Deshpande, Bhattacharyya and Shah (2025), "On Optimal Steering to Achieve Exact
    Fairness", NeurIPS, arXiv 2509.15759.

    Examples
    --------
    >>> from fairsteer import OptimalSteeringTransformer
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> diabetes = load_diabetes_progression()
    >>> model = make_pipeline(OptimalSteeringTransformer("sex"), LogisticRegression(max_iter=1000))
    >>> model.fit(diabetes.data, diabetes.target).predict(diabetes.data.head(3)).shape
    (3,)
    """

    # Routed without set_fit_request; in column mode get_metadata_routing turns them off.
    __metadata_request__fit: ClassVar = {"sensitive_features": True}
    __metadata_request__transform: ClassVar = {"sensitive_features": True}

    _parameter_constraints: ClassVar[dict] = {
        "sensitive_feature_ids": [str, int, np.integer, "array-like", None],
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "pos_label": "no_validation",
        "reference_group": "no_validation",
        "conditions": [StrOptions(set(CONDITIONS))],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "priors": [StrOptions(set(PRIORS))],
        "label_strategy": [StrOptions(set(LABEL_STRATEGIES))],
        "strength": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        sensitive_feature_ids=None,
        *,
        constraint="equalized_odds",
        pos_label=None,
        reference_group=None,
        conditions="affine",
        covariance_type="full",
        shrinkage=0.01,
        priors="keep",
        label_strategy="posterior",
        strength=1.0,
    ):
        self.sensitive_feature_ids = sensitive_feature_ids
        self.constraint = constraint
        self.pos_label = pos_label
        self.reference_group = reference_group
        self.conditions = conditions
        self.covariance_type = covariance_type
        self.shrinkage = shrinkage
        self.priors = priors
        self.label_strategy = label_strategy
        self.strength = strength

    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Estimate the laws, find the nearest ideal one, and compute the maps.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it stands in X.
        sample_weight : array-like of shape (n,), default=None
            Frequencies: weight 2 is the row twice, weight 0 is no row.

        Returns
        -------
        OptimalSteeringTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or the input cannot be used; the message says what to do.
        TypeError
            If X is sparse.
        """
        self._validate_params()
        self._check_combination()
        table = check.check_table(X)
        positions = self._resolve_columns(table)
        features, groups = self._split(table, sensitive_features, positions)
        labels = check.check_labels(y, len(features))
        weights = check.check_frequencies(sample_weight, len(features))
        present = weights > 0.0
        if not present.all():
            features, groups = features[present], groups[present]
            labels, weights = labels[present], weights[present]

        classes, group_values = np.unique(labels), check.sorted_groups(groups)
        _check_variety(classes, group_values)
        pos_label = self._resolve_pos_label(classes)
        positive = classes.tolist().index(pos_label)
        cells = check.label_codes(labels, classes), check.group_codes(groups, group_values)
        counts = np.zeros((len(classes), len(group_values)))
        np.add.at(counts, cells, weights)
        reference_group = self._resolve_reference(group_values, counts, positive)
        self._check_counts(counts, classes, group_values, positive)

        varying = np.any(features != features[0], axis=0)
        if not varying.any():
            raise ValueError(
                "Every feature is constant in training, so there is nothing to steer: pass "
                "columns of X that vary."
            )
        distribution = self._estimate(
            features[:, varying], cells, weights, classes, group_values, positive
        )
        result = nearest_ideal(
            distribution,
            reference_group=reference_group,
            conditions="affine" if distribution.n_labels == 1 else self.conditions,
            priors=self.priors,
        )

        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        validate_data(self, X, y, reset=True, skip_check_array=True)
        self._sensitive_positions = positions
        self.classes_, self.groups_ = classes, group_values
        self.pos_label_, self.reference_group_ = pos_label, reference_group
        self.steered_features_ = np.flatnonzero(varying)
        self.distribution_, self.ideal_, self.result_ = distribution, result.ideal, result
        self._set_maps(counts / counts.sum())
        return self

    def transform(self, X, *, sensitive_features=None):
        """Move rows of known group and unknown label into the reference frame.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it stands in X.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Sensitive columns dropped, the others in order. A frame after ``set_output``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the input cannot be used, or a group was not seen in ``fit``.
        """
        check_is_fitted(self)
        features, codes = self._check_rows(X, sensitive_features)
        return self._moved(features, codes, self._label_free_displacement)

    def fit_transform(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Fit, then transform the same rows; the label never moves a row.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels, used to fit only.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it stands in X.
        sample_weight : array-like of shape (n,), default=None
            Frequencies.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Equal to ``fit(...).transform(...)``.
        """
        self.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight)
        return self.transform(X, sensitive_features=sensitive_features)

    def steer(self, X, y, *, sensitive_features=None):
        """Move rows of known group *and label* into the reference frame.

        Only for training in the ideal world: new rows have no label, and on discrete features
        the moved values give the label away.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it stands in X.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Sensitive columns dropped, the others in order. A frame after ``set_output``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the input cannot be used, or a group or label was not seen in ``fit``.
        """
        check_is_fitted(self)
        features, codes = self._check_rows(X, sensitive_features)
        labels = check.label_codes(check.check_labels(y, len(features)), self.classes_)

        def displacement(rows, group, where):
            if self.maps_.shape[0] == 1:
                return self.maps_[0, group].displacement(rows)
            moved = np.empty_like(rows)
            for i in range(self.maps_.shape[0]):
                chosen = labels[where] == i
                moved[chosen] = self.maps_[i, group].displacement(rows[chosen])
            return moved

        moved = self._moved(features, codes, displacement)
        return _wrap_data_with_container("transform", moved, X, self)

    def ideal_sample_weight(self, X, y, *, sensitive_features=None):
        """Return the weight that carries each row's (label, group) to the ideal priors.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``; only its sensitive columns are used.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it stands in X.

        Returns
        -------
        ndarray of shape (n,)
            All ones with ``priors="keep"``; with ``"independent"`` Kamiran and Calders'
            reweighing.
        """
        check_is_fitted(self)
        features, codes = self._check_rows(X, sensitive_features)
        labels = check.label_codes(check.check_labels(y, len(features)), self.classes_)
        if self._cell_weights is None:
            return np.ones(len(features))
        return self._cell_weights[labels, codes]

    def get_feature_names_out(self, input_features=None):
        """Return the names of the output columns: those of X, sensitive ones left out.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; default those seen in ``fit``.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return np.delete(names, self._sensitive_positions)

    def get_metadata_routing(self):
        """Return the routing requests: none for the attribute where it stands in X.

        Returns
        -------
        MetadataRequest
        """
        request = super().get_metadata_routing()
        if self.sensitive_feature_ids is not None:
            for method in ("fit", "transform"):
                getattr(request, method).add_request(param="sensitive_features", alias=False)
        return request

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.categorical = self.sensitive_feature_ids is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_combination(self):
        changes_nothing = self.conditions == "identical" and self.label_strategy == "none"
        if self.constraint == "equalized_odds" and changes_nothing:
            raise ValueError(
                "conditions='identical' with label_strategy='none' would change nothing, because "
                "under identical conditions only the label decides where a row goes: use "
                "label_strategy='posterior' or conditions='affine'."
            )

    def _resolve_pos_label(self, classes):
        if self.pos_label is None:
            return classes[-1]
        if self.pos_label not in classes.tolist():
            raise ValueError(
                f"pos_label={self.pos_label!r} is not among the labels {classes.tolist()}."
            )
        return self.pos_label

    def _resolve_reference(self, groups, counts, positive):
        if self.reference_group is None:
            return groups[default_reference_group(counts, positive)]
        if self.reference_group not in groups.tolist():
            raise ValueError(
                f"reference_group={self.reference_group!r} is not among the groups "
                f"{groups.tolist()}."
            )
        return self.reference_group

    def _check_counts(self, counts, classes, groups, positive):
        without_positive = groups[counts[positive] == 0.0].tolist()
        if self.constraint == "equal_opportunity" and without_positive:
            raise ValueError(
                f"The group(s) {without_positive} have no row of the positive label "
                f"{classes.tolist()[positive]!r}, whose law equal opportunity equalises: drop or "
                "merge them."
            )
        empty = np.argwhere(counts == 0.0)
        if self.constraint != "equalized_odds" and self.priors != "keep" and len(empty):
            i, a = empty[0]
            raise ValueError(
                f"{cell_name(classes[i], groups[a])} has no rows, so no weights make label and "
                "group independent: drop or merge this group or label, or use priors='keep'."
            )

    def _resolve_columns(self, X):
        if self.sensitive_feature_ids is None:
            return []
        return check.sensitive_positions(X, self.sensitive_feature_ids)

    def _split(self, X, sensitive_features, positions):
        """Return features as numbers and group values."""
        if positions and sensitive_features is not None:
            raise ValueError(
                "The sensitive attribute is given twice, by sensitive_feature_ids and by "
                "sensitive_features=: pass one of the two."
            )
        if positions:
            attribute = check.attribute_from_columns(X, positions)
        elif sensitive_features is not None:
            attribute = check.attribute_from_argument(sensitive_features, X.shape[0])
        else:
            raise ValueError(
                "The sensitive attribute is missing: name its columns in X by "
                "sensitive_feature_ids, or pass sensitive_features= (inside a Pipeline this needs "
                "sklearn.set_config(enable_metadata_routing=True))."
            )
        kept = np.setdiff1d(np.arange(X.shape[1]), positions)
        return check.check_numbers(check.take_columns(X, kept)), check.group_values(attribute)

    def _check_rows(self, X, sensitive_features):
        X = check.check_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        features, groups = self._split(X, sensitive_features, self._sensitive_positions)
        return features, check.group_codes(groups, self.groups_)

    def _estimate(self, features, cells, weights, classes, groups, positive):
        labels, (label_codes, codes) = classes, cells
        if self.constraint == "equal_opportunity":
            rows = label_codes == positive
            features, codes, weights = features[rows], codes[rows], weights[rows]
            labels = classes[[positive]]
        elif self.constraint == "demographic_parity":
            labels = np.array([_ANY_LABEL])
        if len(labels) == 1:
            label_codes = np.zeros_like(codes)
        features = features.astype(np.float64)
        moments = subgroup_moments(
            features, label_codes, codes, (len(labels), len(groups)), weights
        )
        return gaussians_from_moments(
            labels,
            groups,
            *moments,
            covariance_type=self.covariance_type,
            shrinkage=self.shrinkage,
        )

    def _set_maps(self, priors):
        source, target = self.distribution_, self.result_.target
        frames = self.result_.group_maps.inverse()
        if source.n_labels == 1:
            maps = frames[None]
        else:
            maps = frames.compose(
                transport_map(
                    source.means,
                    source.covariances,
                    target.means,
                    target.covariances,
                    source.feature_scale,
                )
            )
        self.group_maps_ = frames.partial(self.strength)
        self.maps_ = maps.partial(self.strength)
        self._cell_weights = None
        if self.priors != "keep":
            if source.n_labels > 1:
                ideal = self.result_.target.priors
            else:
                ideal = ideal_priors(priors, self.priors)
            self._cell_weights = prior_weights(priors, ideal)

    def _label_free_displacement(self, rows, group, where):
        if self.label_strategy == "none" or self.distribution_.n_labels == 1:
            return self.group_maps_[group].displacement(rows)
        posterior = label_posterior(self.distribution_, rows, group)
        return sum(
            posterior[:, [i]] * self.maps_[i, group].displacement(rows)
            for i in range(posterior.shape[1])
        )

    def _moved(self, features, codes, displacement):
        """Add ``displacement(rows, group, where)`` to the features that vary, group by group."""
        moved = features.copy()
        for group in range(len(self.groups_)):
            where = np.flatnonzero(codes == group)
            if len(where) == 0:
                continue
            block = np.ix_(where, self.steered_features_)
            rows = features[block].astype(np.float64)
            moved[block] = rows + displacement(rows, group, where)
        return moved
