"""The transformer: validate, estimate, solve, map."""

from __future__ import annotations

from numbers import Real
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _get_feature_names, check_is_fitted, validate_data

from fairsteer._validation import check_table, check_variety, sensitive_positions
from fairsteer.core.certificates import CONSTRAINTS
from fairsteer.core.families import FAMILIES, QUANTILES, SUMMED_FAMILIES, summed_family
from fairsteer.core.gaussians import COVARIANCE_TYPES, gaussians_from_moments
from fairsteer.core.groups import UNKNOWN
from fairsteer.core.moments import pool_labels, positions, row_blocks
from fairsteer.core.moves import LABEL_STRATEGIES, Mover
from fairsteer.core.priors import PRIORS, ideal_priors, prior_weights
from fairsteer.core.solvers import CONDITIONS, INTERVENTIONS
from fairsteer.core.training_rows import StreamedRows
from fairsteer.estimators._base import SensitiveFeatureMixin
from fairsteer.estimators._certified import certificates_of, law_of_cells
from fairsteer.estimators._fitting import (
    ANY_LABEL,
    check_combination,
    check_counts,
    draws_of,
    estimation_options,
    grouping_of,
    law_of,
    nearest_ideal_of,
    ranked,
    reference_maps,
    reference_of,
    tied_sums,
)
from fairsteer.estimators._watch import warn_of_drift, warn_of_fit

GROUP_STRATEGIES = ("given", "posterior")
OUTPUTS = ("original", "scores")
UNSEEN_GROUPS = ("error", "pooled")
SMALL_CELLS = ("error", "pooled", "shrunk")
NO_SUMS = (
    "family='copula' ranks all rows together, and its fit has kept no sums of them that rows could "
    "be added to: use family='normal' or 'lognormal' from the first rows on."
)


def _sums_are_enough(steering):
    """Refuse the copula, in the manner of scikit-learn: without it there is no such method."""
    if steering.family not in SUMMED_FAMILIES:
        raise AttributeError(
            f"family={steering.family!r} ranks all rows together, so it cannot be fitted in parts: "
            "use fit, or family='normal' or 'lognormal'."
        )
    return True


class OptimalSteeringTransformer(SensitiveFeatureMixin, TransformerMixin, BaseEstimator):
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
    intervention : {"affirmative", "all_subgroups"}, default="affirmative"
        Whether the reference group keeps its law or all subgroups meet at the nearest ideal
        law. It is expressed in the reference group's frame; under equal opportunity and
        demographic parity it is the Wasserstein barycentre of the groups.
    reference_group : object, default=None
        Group that keeps its law, or whose frame is taken. Default: with two labels
        the group with the largest share of positives, otherwise the one with the most rows.
    conditions : {"affine", "whitened", "identical"}, default="affine"
        What makes a law ideal; see :func:`fairsteer.nearest_ideal`. The whitened conditions (the
        paper's) depend on the features' units: standardise first.
    family : {"normal", "lognormal", "copula"}, default="normal"
        Whether the features, their logarithms or their normal scores are Gaussian. Laws, maps and
        certificates then speak of these; the output is mapped back. The copula works with ranks,
        so that any feature will do: counts, indicators, categories in a meaningful order. Tied
        values are spread by a draw, see Notes.
    quantiles : {"pooled", "group"}, default="pooled"
        Copula only: ranks among all rows or within the group (under equal opportunity: among
        its positives). ``"group"`` lets every feature have the same marginal law in all groups
        before anything else is steered, and reads the reference group's values off its ranks.
    covariance_type : {"full", "tied", "diag"}, default="full"
        ``"tied"`` shares a covariance among the labels of a group.
    shrinkage : float in [0, 1] or "auto", default=0.01
        See :func:`fairsteer.estimate_gaussians`.
    priors : {"keep", "independent", "nearest"}, default="keep"
        Law of (label, group) aimed at; what differs from the data is left to
        :meth:`ideal_sample_weight`.
    label_strategy : {"posterior", "map", "sample", "none"}, default="posterior"
        What stands for the unknown label in ``transform``. ``"posterior"`` averages the
        subgroups' maps with the fitted ``p(label | x, group)``, ``"map"`` takes the map of the
        most probable label, ``"sample"`` of a label drawn with these probabilities; ``"none"``
        applies one map per group.
    group_strategy : {"given", "posterior"}, default="given"
        Whether ``transform`` needs the attribute of every row. With ``"posterior"`` it may be
        missing (None or NaN) for some rows, or not be passed at all; such a row moves by the mean
        of the groups' displacements, weighted by the fitted ``p(group | x)``. That helps where
        the group shows in the features; where it does not, see :class:`WithinLabelEraser`.
    output : {"original", "scores"}, default="original"
        Copula only: return values of the training rows, or normal scores among all groups.
    strength : float in [0, 1], default=1.0
        ``s`` in ``x + s (T(x) - x)``; 0 changes nothing. Under the copula x stands for its
        normal scores among all rows, the scale of ``output="scores"``.
    handle_unknown : {"error", "pooled"}, default="error"
        What ``transform`` does with a row of a group that was not seen in ``fit``: refuse it, or
        move it as a row of the population, like one whose attribute is missing (see
        ``group_strategy``).
    small_cells : {"error", "pooled", "shrunk"}, default="error"
        What ``fit`` does where a cell (a label of a group) has too few rows for a law: fewer than
        two for a full covariance, at shrinkage 0 fewer than features plus one, otherwise fewer
        than one. ``"pooled"`` merges all groups with such a cell into one; if that is too small
        still, they get no law and their rows move as the population. ``"shrunk"`` lets all cells
        borrow from each other, the smaller the more: means from the effects of their label and
        group, covariances from that of all cells; every cell needs one row.
    max_drift : float or None, default=None
        Let ``transform`` warn where the mean of a group's rows lies more than this many of the
        fitted standard deviations away from its fitted mean in some feature, over and above four
        standard errors. None never warns.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws that spread ties and labels, and of the Monte Carlo estimates in
        ``certificate_``; with None one is drawn in ``fit``.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels.
    groups_ : ndarray of shape (G,)
        Groups; tuples for several sensitive columns.
    pooled_groups_ : list
        Groups without a law of their own (``small_cells="pooled"``).
    reference_group_ : object
        The group that keeps its law.
    pos_label_ : object
        The positive label.
    distribution_ : SubgroupGaussians
        Fitted law, over the features that vary. Under equal opportunity and demographic parity
        it has one label. Its groups are those of ``groups_``, merged ones as a last one,
        ``"pooled"``.
    ideal_ : SubgroupGaussians
        The ideal law in the reference frame.
    result_ : SteeringResult
        The solution: target in each group's own frame, divergences, optimality.
    maps_ : AffineMap of shape (K, G)
        Labelled maps into the reference frame, at full strength.
    group_maps_ : AffineMap of shape (G,)
        Label-free maps into the reference frame, at full strength.
    certificate_ : dict of str to Certificate
        For each constraint a bound on the gap of every classifier that sees the transformed
        features only, under the fitted model; computed on first access. Proved for
        ``label_strategy="none"`` and for equal opportunity, otherwise a Monte Carlo estimate.
        What cells too small for a law of their own leave open is absent. Nothing is certified
        for ``group_strategy="posterior"``, for equalized odds with ``label_strategy="map"`` or
        ``"sample"``, for ``quantiles="group"`` at a strength below 1, or where a group of the
        training rows has no law or only one law is left. Pooled groups count as one, and groups
        that were not seen are not covered.
    steered_features_ : ndarray of shape (d,)
        Positions, among the output columns, of the features that vary in training; constant
        ones are returned unchanged.
    n_features_in_ : int
        Columns of X, sensitive ones included.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.

    Notes
    -----
    The attribute is needed in ``transform`` unless ``group_strategy="posterior"``. The label
    never is: ``fit_transform`` equals ``fit`` and ``transform``, so a model trained on its output
    sees rows moved exactly as new rows will be. With discrete features and another family than
    the copula, a model that can tell the groups' grids apart (a tree) may recover the group.

    Draws depend on ``random_state``, the row's values, its group and its occurrence number among
    identical rows of the call, not on other rows, their order or the process. So a row that is
    transformed alone moves as the first of its twins does; only among identical rows does the
    order of a batch matter. Where most rows have many twins, rows that are transformed one by one
    are therefore not spread as those of a batch are, and the gaps that a batch has do not hold
    for them: transform such rows together.

    All parameters combine, except that:

    ============================================== ========================= ==========
    setting                                        applies with              otherwise
    ============================================== ========================= ==========
    conditions                                     constraint=equalized_odds no effect
    label_strategy                                 constraint=equalized_odds no effect
    quantiles=group                                family=copula             ValueError
    output=scores                                  family=copula             ValueError
    conditions=identical with label_strategy=none  quantiles=group           ValueError
    ============================================== ========================= ==========

    The last pair would change nothing; where the constraint gives it no effect, it is accepted.

    Warns
    -----
    SteeringWarning
        In ``fit``, if most features are discrete and the family is not the copula, if rows hardly
        move, if a cell has fewer rows than its covariance has dimensions, or if groups have no
        law of their own. In ``transform``, if rows have drifted (``max_drift``).

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

    __metadata_request__partial_fit: ClassVar = {"sensitive_features": True, "finish": UNUSED}

    _parameter_constraints: ClassVar[dict] = {
        "sensitive_feature_ids": [str, int, np.integer, "array-like", None],
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "pos_label": "no_validation",
        "intervention": [StrOptions(set(INTERVENTIONS))],
        "reference_group": "no_validation",
        "conditions": [StrOptions(set(CONDITIONS))],
        "family": [StrOptions(set(FAMILIES))],
        "quantiles": [StrOptions(set(QUANTILES))],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "priors": [StrOptions(set(PRIORS))],
        "label_strategy": [StrOptions(set(LABEL_STRATEGIES))],
        "group_strategy": [StrOptions(set(GROUP_STRATEGIES))],
        "output": [StrOptions(set(OUTPUTS))],
        "strength": [Interval(Real, 0, 1, closed="both")],
        "handle_unknown": [StrOptions(set(UNSEEN_GROUPS))],
        "small_cells": [StrOptions(set(SMALL_CELLS))],
        "max_drift": [Interval(Real, 0, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        sensitive_feature_ids=None,
        *,
        constraint="equalized_odds",
        pos_label=None,
        intervention="affirmative",
        reference_group=None,
        conditions="affine",
        family="normal",
        quantiles="pooled",
        covariance_type="full",
        shrinkage=0.01,
        priors="keep",
        label_strategy="posterior",
        group_strategy="given",
        output="original",
        strength=1.0,
        handle_unknown="error",
        small_cells="error",
        max_drift=None,
        random_state=None,
    ):
        self.sensitive_feature_ids = sensitive_feature_ids
        self.constraint = constraint
        self.pos_label = pos_label
        self.intervention = intervention
        self.reference_group = reference_group
        self.conditions = conditions
        self.family = family
        self.quantiles = quantiles
        self.covariance_type = covariance_type
        self.shrinkage = shrinkage
        self.priors = priors
        self.label_strategy = label_strategy
        self.group_strategy = group_strategy
        self.output = output
        self.strength = strength
        self.handle_unknown = handle_unknown
        self.small_cells = small_cells
        self.max_drift = max_drift
        self.random_state = random_state

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
        check_combination(self)
        rows = self._training_rows(X, y, sensitive_features, sample_weight)
        summed = self.family in SUMMED_FAMILIES
        every_row = StreamedRows.of(rows, self.family, tied_sums(self)) if summed else rows
        self._solve(X, y, every_row, rows)
        return self

    @available_if(_sums_are_enough)
    def partial_fit(self, X, y, *, sensitive_features=None, sample_weight=None, finish=True):
        """Add rows to those of the calls before, of ``fit`` too, and solve for all of them.

        There is no such method for the copula, which ranks all rows together. Only sums are kept,
        so that batches, in any order, give what one ``fit`` of all rows does.
        ``random_state`` is drawn anew in each call that solves, and warnings that look at rows,
        such as that of discrete features, look at those of this batch.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels; a batch need not have all.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it stands in X; a batch need not have all groups.
        sample_weight : array-like of shape (n,), default=None
            Frequencies: weight 2 is the row twice, weight 0 is no row.
        finish : bool, default=True
            Whether to solve now. With False the rows are added only, which is faster, and the
            maps stay those of the last call that solved.

        Returns
        -------
        OptimalSteeringTransformer
            Itself; fitted if `finish`.

        Raises
        ------
        ValueError
            If a parameter or the input cannot be used, or the rows so far are too few to solve;
            the message says what to do. Nothing is added then.
        TypeError
            If X is sparse.
        """
        self._validate_params()
        check_combination(self)
        before = getattr(self, "_streamed", None)
        if before is None and hasattr(self, "_mover"):
            raise ValueError(NO_SUMS)
        if before is not None:
            self._check_named_alike(_get_feature_names(X))
            validate_data(self, check_table(X), reset=False, skip_check_array=True)
        batch = self._training_rows(X, y, sensitive_features, sample_weight, whole=False)
        if before is not None:
            before.check_same(self.family, batch.positions, tied_sums(self))
        streamed = StreamedRows.of(batch, self.family, tied_sums(self))
        if before is not None:
            self._keep(before.merge(streamed), finish, at_hand=batch)
        else:
            self._keep(streamed, finish, X, y, batch)
        return self

    def merge(self, other, *, finish=True):
        """Add the rows that another transformer was fitted on, and solve for all of them.

        Warnings that look at rows are not given.

        Parameters
        ----------
        other : OptimalSteeringTransformer
            Fitted, in parts or not, on other rows of the same columns. It is left as it is.
        finish : bool, default=True
            Whether to solve now, as in :meth:`partial_fit`.

        Returns
        -------
        OptimalSteeringTransformer
            Itself; fitted if `finish`. It need not have had any rows of its own.

        Raises
        ------
        NotFittedError
            If the other has no rows yet.
        TypeError
            If `other` is no such transformer.
        ValueError
            If their columns, families or sensitive features differ, a copula is among them, or
            the rows are too few to solve; nothing is added then.
        """
        self._validate_params()
        check_combination(self)
        if not isinstance(other, OptimalSteeringTransformer):
            raise TypeError(
                f"Only the rows of another OptimalSteeringTransformer can be added, not of "
                f"{type(other).__name__}."
            )
        check_is_fitted(other, "n_features_in_")
        own, theirs = getattr(self, "_streamed", None), other._streamed
        if theirs is None or (own is None and hasattr(self, "_mover")):
            raise ValueError(NO_SUMS)
        names = getattr(other, "feature_names_in_", None)
        first = own is None
        if not first:
            self._check_named_alike(names)
            if names is not None and names.tolist() != self.feature_names_in_.tolist():
                raise ValueError(
                    f"The feature names should match: they are {self.feature_names_in_.tolist()} "
                    f"here and {names.tolist()} there."
                )
        table = pd.DataFrame(columns=range(other.n_features_in_) if names is None else names)
        ids = self.sensitive_feature_ids
        places = [] if ids is None else sensitive_positions(table, ids)
        (theirs if first else own).check_same(self.family, places, tied_sums(self))
        self._keep(theirs if first else own.merge(theirs), finish)
        if first:
            self.n_features_in_ = other.n_features_in_
            if names is not None:
                self.feature_names_in_ = names
        return self

    def _check_named_alike(self, names):
        """Refuse named columns where those before have no names, and the other way round."""
        before = getattr(self, "feature_names_in_", None)
        if (before is None) != (names is None):
            named, not_named = ("before", "now") if names is None else ("now", "before")
            raise ValueError(
                f"The columns had names {named} and none {not_named}, so that they cannot be told "
                "apart: pass frames always, or arrays always."
            )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_mover")

    def _keep(self, streamed, finish, X=None, y=None, at_hand=None):
        """Keep sums, once they are solved for where that is wanted now."""
        if finish:
            check_variety(streamed.classes, streamed.groups)
            self._solve(X, y, streamed, at_hand)
            return
        if X is not None:
            validate_data(self, X, y, reset=True, skip_check_array=True)
        self._streamed = streamed

    def _solve(self, X, y, every_row, at_hand=None):
        """Fit to rows, or to sums over them; `at_hand` are some to judge the fit on."""
        pos_label = self._resolve_pos_label(every_row.classes)
        positive = every_row.classes.tolist().index(pos_label)
        grouping = grouping_of(self, every_row, positive)
        rows = every_row.regrouped(grouping.groups, grouping.law_of)
        reference_group = reference_of(self, rows, positive, grouping)
        check_counts(self, rows, positive)
        seed = int(check_random_state(self.random_state).randint(2**31))

        judged = draws = None
        if self.family == "copula":
            judged = rows = rows.repeated()
        elif at_hand is not None:
            place = positions(at_hand.groups, every_row.groups)
            judged = at_hand.regrouped(grouping.groups, grouping.law_of[place])
        varying = rows.varying_features()
        dithered = self.family == "copula" or self.label_strategy == "sample"
        if judged is not None:
            draws = draws_of(judged.features, judged.group_codes, len(varying), seed, dithered)
        if self.family == "copula":
            family, moments, common = ranked(
                self, rows, varying, draws, positive, rows.groups.tolist().index(reference_group)
            )
        else:
            family = summed_family(self.family, [rows.names[j] for j in varying])
            moments = common = rows.moments.of_features(varying).parts
        estimation = estimation_options(self)
        # A law of all rows, which moves none, is estimated from however few there are.
        estimation["borrow"] |= grouping.n_own == 0
        distribution = law_of(self, rows, moments, positive, estimation)
        population = None
        some_unknown = self.group_strategy == "posterior" or self.handle_unknown == "pooled"
        if some_unknown or np.any(grouping.law_of == UNKNOWN):
            population = law_of_cells(rows.classes, rows.groups, common, estimation)
            if population is None:
                population = gaussians_from_moments(
                    np.array([ANY_LABEL]), rows.groups, *pool_labels(*common), **estimation
                )
        result = nearest_ideal_of(self, distribution, reference_group)

        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        self._record(X, y, every_row)
        self.pooled_groups_ = grouping.small
        # The last entry is that of rows of unknown group, whose position is -1.
        self._law_of_group = np.append(grouping.law_of, UNKNOWN)
        self._allowed = {
            "allow_missing": self.group_strategy == "posterior",
            "allow_unseen": self.handle_unknown == "pooled",
        }
        self.pos_label_, self.reference_group_ = pos_label, reference_group
        self.steered_features_ = varying
        self.distribution_, self.ideal_, self.result_ = distribution, result.ideal, result
        self.group_maps_, self.maps_ = reference_maps(distribution, result)
        self._streamed = every_row if isinstance(every_row, StreamedRows) else None
        self._moments, self._estimation = moments, estimation
        self._seed, self._dithered = seed, dithered
        self._constraint, self._output = self.constraint, self.output
        self._quantiles = self.quantiles
        self._mover = Mover(
            family=family,
            law=distribution,
            maps=self.maps_,
            group_maps=self.group_maps_,
            label_strategy=self.label_strategy,
            strength=self.strength,
            population=population,
        )
        self._set_cell_weights(rows.counts / rows.counts.sum())
        self.__dict__.pop("_certificate", None)
        warn_of_fit(self, judged, draws, grouping)

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
        features, codes = self._rows_and_laws(X, sensitive_features, **self._allowed)
        return self._moved(features, codes, max_drift=self.max_drift)

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
        features, codes = self._rows_and_laws(
            X, sensitive_features, allow_unseen=self._allowed["allow_unseen"]
        )
        moved = self._moved(features, codes, self._check_labels(y, features))
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
            reweighing. Rows that move as the population have weight 1.
        """
        check_is_fitted(self)
        codes = self._check_groups(
            X, sensitive_features, allow_unseen=self._allowed["allow_unseen"]
        )
        labels = self._check_labels(y, codes)
        if self._cell_weights is None:
            return np.ones(len(codes))
        return self._cell_weights[labels, self._law_of_group[codes]]

    @property
    def certificate_(self):
        """Bounds on the gap of every classifier that sees transformed features only."""
        check_is_fitted(self)
        if "_certificate" not in self.__dict__:
            self._certificate = certificates_of(self)
        return self._certificate

    def _set_cell_weights(self, priors):
        self._cell_weights = None
        if self.priors != "keep":
            if self.distribution_.n_labels > 1:
                ideal = self.result_.target.priors
            else:
                ideal = ideal_priors(priors, self.priors)
            weights = prior_weights(priors, ideal)
            self._cell_weights = np.hstack([weights, np.ones((len(weights), 1))])

    def _rows_and_laws(self, X, sensitive_features, **allowed):
        """Return features of rows after fit and the position of their group's law."""
        features, codes = self._check_rows(X, sensitive_features, **allowed)
        return features, self._law_of_group[codes]

    def _moved(self, features, codes, labels=None, max_drift=None):
        """Move the features that vary, block by block; labels are None where they are not known."""
        moved, varying = np.empty_like(features), self.steered_features_
        self._mover.family.check(features, varying)
        draws = draws_of(features, codes, len(varying), self._seed, self._dithered)
        groups = np.flatnonzero(np.bincount(codes + 1)) - 1
        if max_drift is not None:
            for group in groups[groups != UNKNOWN]:
                where = np.flatnonzero(codes == group)
                X = features[np.ix_(where, varying)].astype(np.float64)
                warn_of_drift(self, X, draws[where], group, max_drift)
        motions = {group: self._mover.motion(group, labels is not None) for group in groups}
        if self._output == "original":
            motions = {group: motion for group, motion in motions.items() if motion is not None}
        some_constant = len(varying) < features.shape[1]
        some_stay = some_constant or len(motions) < len(groups)
        for block in row_blocks(*features.shape):
            if some_stay:
                moved[block] = features[block]
            for group, motion in motions.items():
                where = block.start + np.flatnonzero(codes[block] == group)
                if len(where) == 0:
                    continue
                X = features.take(where, axis=0)
                X = (X[:, varying] if some_constant else X).astype(np.float64, copy=False)
                own = draws[where]
                told = None if labels is None else labels[where]
                step = None if motion is None else motion(X, own, told)
                arrived = self._mover.arrive(X, own, step, self._output)
                moved[np.ix_(where, varying) if some_constant else where] = arrived
        return moved
