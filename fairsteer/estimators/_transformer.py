"""The transformer: validate, fit the steering, delegate to it."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from numbers import Real
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.core.diagnostics import (
    describe_recovery,
    describe_unsteered,
    find_drift,
    find_problems,
    null_auc_deviation,
)
from fairsteer.core.gaussians import COVARIANCE_TYPES
from fairsteer.core.marginals import (
    DISCRETE,
    FAMILIES,
    SAMPLED_ROWS,
    SUMMED_FAMILIES,
    choose_family,
    find_one_hot,
    tie_probability,
)
from fairsteer.core.moments import positions
from fairsteer.core.priors import PRIORS
from fairsteer.core.solvers import CONDITIONS, INTERVENTIONS
from fairsteer.core.steering import LABEL_STRATEGIES, SteeringOptions, fit_steering
from fairsteer.core.training_rows import StreamedRows
from fairsteer.estimators._base import SensitiveFeatureMixin
from fairsteer.exceptions import SteeringWarning

GROUP_STRATEGIES = ("given", "posterior")
OUTPUTS = ("original", "scores")
UNSEEN_GROUPS = ("error", "pooled")
SMALL_GROUPS = ("error", "pooled", "shrunk")
CERTIFICATE_DRAWS = 5_000
MEASURED_TREES = 60
MEASURED_GROUPS = 10
NO_SUMS = (
    "The copula needs the ranks of all rows at once, so its fit cannot be extended: use "
    "family='normal' or 'lognormal' from the first rows on."
)
CHOSE_COPULA = (
    "Most features of the first rows are discrete, for which family='auto' chooses the copula, "
    "which needs the ranks of all rows at once: use fit, or pass family='normal' or 'lognormal' "
    "from the first rows on."
)


def _sums_are_enough(steering):
    """Raise AttributeError for a copula, for which the method does not exist."""
    if steering.family not in ("auto", *SUMMED_FAMILIES):
        raise AttributeError(
            f"partial_fit is not available for family={steering.family!r}, which needs the ranks "
            "of all rows at once: use fit, or family='normal' or 'lognormal'."
        )
    return True


class OptimalSteeringTransformer(SensitiveFeatureMixin, TransformerMixin, BaseEstimator):
    """Steer features to the nearest distribution on which fairness costs no accuracy.

    Features are modeled as Gaussian given label and group. ``fit`` estimates these distributions
    and finds the closest ideal distribution in Kullback-Leibler divergence: one on which every
    Bayes-optimal classifier treats the groups alike. ``transform`` moves each row toward it. It
    uses the row's group but not its label, and maps all groups into the frame of the reference
    group, whose rows stay where they are.

    Parameters
    ----------
    sensitive_feature_ids : str, int or sequence of these, default=None
        Names or positions of the columns of X that hold the sensitive attribute; several mean
        their intersection. They are dropped from the output. Alternatively pass
        ``sensitive_features=`` to the methods.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        The distributions that become equal between groups: those of the features given every
        label, given the positive label, or of all rows. The last two use one map per group, to
        which ``conditions`` and ``label_strategy`` do not apply.
    pos_label : object, default=None
        The positive (favorable) label; default ``classes_[-1]``.
    intervention : {"affirmative", "all_subgroups"}, default="affirmative"
        Whether the reference group keeps its distribution, or all subgroups move to the nearest
        ideal distribution. The result is expressed in the reference group's frame; under equal
        opportunity and demographic parity it is the Wasserstein barycenter of the groups.
    reference_group : object, default=None
        Group that keeps its distribution, or whose frame is used. Default: with two labels the
        group with the largest share of positives, otherwise the one with the most rows.
    conditions : {"auto", "affine", "whitened", "identical"}, default="auto"
        Sufficient conditions for an ideal distribution; see :func:`fairsteer.nearest_ideal`. The
        whitened conditions (the paper's) depend on the features' units: standardize first.
        ``"auto"`` is identical where ``family="auto"`` chooses the copula, otherwise affine.
    family : {"auto", "normal", "lognormal", "copula", "copula_by_group"}, default="auto"
        Whether the features, their logarithms or their normal scores are modeled as Gaussian.
        Distributions, maps and certificates refer to these; the output is mapped back. The copula
        works with ranks and suits any feature: counts, indicators, categories in a meaningful
        order. It ranks values among all rows. ``"copula_by_group"`` ranks them within the group
        (under equal opportunity: among its positives), so that every feature has the same
        marginal distribution in all groups before anything else is steered, and returns values
        of the reference group. Tied values are spread by a draw, see Notes. ``"auto"`` is the
        copula where most features that vary are discrete, otherwise normal; ``family_`` says
        which. It alone recognizes one-hot blocks, see Notes.
    covariance_type : {"full", "tied", "diag"}, default="full"
        ``"tied"`` shares a covariance among the labels of a group.
    shrinkage : float in [0, 1] or "auto", default=0.01
        See :func:`fairsteer.estimate_gaussians`.
    priors : {"keep", "independent", "nearest"}, default="keep"
        Distribution of (label, group) to aim at. :meth:`ideal_sample_weight` returns the weights
        that lead to it.
    label_strategy : {"posterior", "map", "sample", "none", "channel"}, default="posterior"
        How ``transform`` treats the unknown label. ``"posterior"`` averages the maps of the
        subgroups with the fitted ``p(label | x, group)``, ``"map"`` uses the map of the most
        probable label, ``"sample"`` that of a label drawn with these probabilities; ``"none"``
        applies one map per group. ``"channel"`` applies one map per group and adds Gaussian noise,
        after which all groups have one distribution given the label: equalized odds then holds
        exactly under the fitted model for every classifier that sees the output only, and as much
        is kept about the label as that allows; see
        :func:`fairsteer.core.channels.gaussian_channel`. It is exact with
        ``covariance_type="tied"``; otherwise covariances are pooled within each group. The noise of
        a row depends on its values or, if passed, on ``row_ids``.
    group_strategy : {"given", "posterior"}, default="given"
        Whether ``transform`` needs the attribute of every row. With ``"posterior"`` it may be
        missing (None or NaN) for some rows, or not be passed at all; a DataFrame may lack the
        columns that held it in ``fit``. Such a row moves by the mean
        of the groups' displacements, weighted by the fitted ``p(group | x)``. This helps where the
        features reveal the group; where they do not, see :class:`WithinLabelEraser`.
    output : {"original", "scores"}, default="original"
        Copula only: return values of the training rows, or normal scores among all groups.
    strength : float in [0, 1], default=1.0
        ``s`` in ``x + s (T(x) - x)``; 0 changes nothing. Under the copula x stands for its
        normal scores among all rows, the scale of ``output="scores"``.
    handle_unknown : {"error", "pooled"}, default="error"
        How ``transform`` treats a row of a group that was not seen in ``fit``: raise an error, or
        move it as a row whose attribute is missing (see ``group_strategy``).
    small_groups : {"error", "pooled", "shrunk"}, default="error"
        How ``fit`` treats a subgroup (a label of a group) with too few rows: fewer than two for a
        full covariance, at shrinkage 0 fewer than features plus one, otherwise fewer than one.
        ``"pooled"`` merges all groups with such a subgroup into one; if the merged group is still
        too small, its rows move as those of unknown group. ``"shrunk"`` lets all subgroups borrow
        from each other, small ones most: means from the effects of their label and group,
        covariances from that of all subgroups; every subgroup needs one row.
    max_drift : float or None, default=None
        Let ``transform`` warn where the mean of a group's rows is more than this many fitted
        standard deviations away from its fitted mean in some feature, in addition to four
        standard errors. None never warns.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws that spread ties and choose labels, and of the Monte Carlo estimates in
        ``certificate_``. With None a seed is drawn in ``fit``; if ``family="auto"`` chooses the
        copula, it is 0, so that the default is repeatable.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels.
    groups_ : ndarray of shape (G,)
        Groups; tuples for several sensitive columns. Dates of pandas are stored as equal ones of
        Python, periods and intervals of dates as text.
    steering_ : FittedSteering
        The fitted steering; the attributes below are parts of it.
    pooled_groups_ : list
        Groups without a distribution of their own (``small_groups="pooled"``).
    reference_group_ : object
        The group that keeps its distribution.
    pos_label_ : object
        The positive label.
    distribution_ : SubgroupGaussians
        Fitted distribution of the features that vary. Under equal opportunity and demographic
        parity it has one label. Its groups are those of ``groups_``; merged groups come last, as
        ``"pooled"``.
    ideal_ : SubgroupGaussians
        The ideal distribution in the reference frame.
    result_ : SteeringResult
        The solution: target in each group's own frame, divergences, optimality.
    maps_ : AffineMap of shape (K, G)
        Maps of every label and group into the reference frame, at full strength.
    group_maps_ : AffineMap of shape (G,)
        Label-free maps into the reference frame, at full strength.
    certificate_ : dict of str to Certificate
        For each constraint a model-based bound on the gap of every classifier that sees the
        transformed features only: it holds if the fitted Gaussians are the true distributions, and
        is silent about estimation. Computed on first access; of kind ``"model"`` with
        ``label_strategy="none"``, the channel with tied covariances and for equal opportunity,
        otherwise ``"model estimate"``, by Monte Carlo. For bounds that need no model see
        :func:`fairsteer.certify.certify`.
    certificate_notes_ : dict of str to str
        Why a constraint is missing from ``certificate_``: most features are discrete, a subgroup
        has fewer than ``12 d (d + 3)`` rows (its Gaussian is then off by .1 and more in total
        variation), groups are merged or inferred, or the distribution of the output is not known.
    family_ : str
        The family, which ``family="auto"`` chooses.
    steered_features_ : ndarray of shape (d,)
        Positions, among the output columns, of the features that are steered: those that vary in
        training. Of a one-hot block that is steered it is the first column, of a block that is
        not steered none. Other features are returned unchanged.
    sensitive_positions_ : ndarray of int
        Positions of the sensitive columns of X; empty where the attribute is passed.
    sensitive_names_ : list
        Names of the columns of the attribute where it was passed as a frame, otherwise None for
        each column. Frames of several columns that are passed later are matched by name.
    n_features_in_ : int
        Columns of X, including sensitive ones.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.
    training_digest_ : str
        Digest of the training table, which :func:`fairsteer.certify.certify` refuses.

    Notes
    -----
    The attribute is needed in ``transform`` unless ``group_strategy="posterior"``. The label
    never is: ``fit_transform`` equals ``fit`` and ``transform``, so a model trained on its output
    sees rows moved exactly as new rows will be.

    A feature is discrete if two rows have the same value with a probability above 5%. With
    discrete features and the normal or the log-normal family, steered values of each group form a
    grid of their own, from which a tree may recover the group. Wherever a feature is discrete and
    no copula is asked for, ``fit`` therefore measures on at most 2,000 rows how well a small
    boosted classifier, which knows the label, recovers the group before and after steering.

    With ``family="auto"``, a run of columns of 0 and 1 that add up to 1 or less in every row is a
    one-hot block and counts as one feature. The copula steers it as one column of categories, in
    the order of ``P(pos_label | category)`` with label and group weighted to be independent, so
    every row that moves gets a category of the training rows. The normal family leaves the block
    as it is, and ``fit`` says so. Other families take every column as it is.

    Draws spread tied values and choose labels. They depend on ``random_state``, the row's group,
    the places of its values among the training values, and its occurrence number among identical
    rows of the call, not on other rows, their order or the process. Values without ties need no
    draw. Single precision, or other units in all calls, thus move a row alike up to rounding.
    Shuffling the rows of a call changes no row except among identical ones, of which the k-th gets
    the k-th draw. A row that is transformed alone moves as the first of its identical rows does.
    Where most rows have many identical rows, rows that are transformed one by one are therefore
    not spread as those of a batch are, and the gaps of a batch do not hold for them: transform such
    rows together, or pass ``row_ids``. The draws then depend on ``random_state`` and the
    identifier only, so that rows transformed one by one are independent and repeatable, and rows
    with the same identifier have the same draws.

    All parameters combine, except these:

    ============================================= ============================= ==========
    setting                                       applies with                  otherwise
    ============================================= ============================= ==========
    conditions                                    constraint=equalized_odds     no effect
    label_strategy                                constraint=equalized_odds     no effect
    label_strategy=channel                        conditions=affine             ValueError
    label_strategy=channel                        intervention=affirmative      ValueError
    label_strategy=channel                        strength=1                    ValueError
    output=scores                                 family=copula|copula_by_group ValueError
    conditions=identical with label_strategy=none family=copula_by_group        ValueError
    ============================================= ============================= ==========

    The last pair would change nothing; where the constraint gives it no effect, it is accepted.

    Warns
    -----
    SteeringWarning
        In ``fit``, if a boosted classifier recovers the group better after steering than before,
        if one-hot blocks are not steered, if rows are almost unchanged, if a subgroup has fewer
        rows than features, or if groups have no distribution of their own. In ``transform``, if
        rows have drifted (``max_drift``).

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
    __metadata_request__transform: ClassVar = {"sensitive_features": True, "row_ids": True}

    _parameter_constraints: ClassVar[dict] = {
        "sensitive_feature_ids": [str, int, np.integer, "array-like", None],
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "pos_label": "no_validation",
        "intervention": [StrOptions(set(INTERVENTIONS))],
        "reference_group": "no_validation",
        "conditions": [StrOptions({"auto", *CONDITIONS})],
        "family": [StrOptions({"auto", *FAMILIES})],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "priors": [StrOptions(set(PRIORS))],
        "label_strategy": [StrOptions(set(LABEL_STRATEGIES))],
        "group_strategy": [StrOptions(set(GROUP_STRATEGIES))],
        "output": [StrOptions(set(OUTPUTS))],
        "strength": [Interval(Real, 0, 1, closed="both")],
        "handle_unknown": [StrOptions(set(UNSEEN_GROUPS))],
        "small_groups": [StrOptions(set(SMALL_GROUPS))],
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
        conditions="auto",
        family="auto",
        covariance_type="full",
        shrinkage=0.01,
        priors="keep",
        label_strategy="posterior",
        group_strategy="given",
        output="original",
        strength=1.0,
        handle_unknown="error",
        small_groups="error",
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
        self.covariance_type = covariance_type
        self.shrinkage = shrinkage
        self.priors = priors
        self.label_strategy = label_strategy
        self.group_strategy = group_strategy
        self.output = output
        self.strength = strength
        self.handle_unknown = handle_unknown
        self.small_groups = small_groups
        self.max_drift = max_drift
        self.random_state = random_state

    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Estimate the distributions, find the nearest ideal one, and compute the maps.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
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
        options, X = self._options(), check.check_table(X)
        rows = self._training_rows(X, y, sensitive_features, sample_weight)
        options, blocks = self._choose(options, rows)
        data = rows
        if not options.ranks:
            data = self._sum(rows, options, blocks)
        self._fit(data, options, X, y, rows, blocks)
        return self

    @available_if(_sums_are_enough)
    def partial_fit(self, X, y, *, sensitive_features=None, sample_weight=None, finish=True):
        """Add rows to those of earlier calls, including ``fit``, and solve for all of them.

        The method does not exist for the copula, which needs the ranks of all rows at once.
        ``family="auto"`` decides on the first batch and keeps to it; a first batch of mostly
        discrete features, which asks for the copula, is refused. Only sums are kept, so that
        batches, in any order, give the result of one ``fit`` of all rows. ``random_state`` is
        drawn anew in each call that solves, and warnings that look at rows, such as that of a
        group that is recovered, look at those of this batch.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels; a batch need not have all.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X; a batch need not have all groups.
        sample_weight : array-like of shape (n,), default=None
            Frequencies: weight 2 is the row twice, weight 0 is no row. A batch whose weights are
            all 0 adds nothing.
        finish : bool, default=True
            Whether to solve now. With False the rows are only added, which is faster, and the
            maps remain those of the last call that solved.

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
        options, X = self._options(), check.check_table(X)
        before, names = getattr(self, "_sums", None), None
        if before is None and hasattr(self, "steering_"):
            raise ValueError(NO_SUMS)
        if before is not None:
            self._check_named_alike(_get_feature_names(X))
            self._match_columns(X)
            names = before.attribute_names
        batch = self._training_rows(
            X, y, sensitive_features, sample_weight, whole=False, attribute_names=names
        )
        if before is not None and before.counts.any():
            options, blocks = self._resume(options, before), []
        else:
            options, blocks = self._choose(options, batch)
            if options.ranks:
                raise ValueError(CHOSE_COPULA)
        if before is not None:
            before.check_same(options.family, batch.sensitive_positions, options.tied_sums)
        sums = self._sum(batch, options, blocks)
        sample = batch if batch.n_rows else None
        if before is not None:
            self._keep(before.merge(sums), options, finish, sample=sample)
        else:
            self._keep(sums, options, finish, X, y, sample)
        return self

    def merge(self, other, *, finish=True):
        """Add the rows that another transformer was fitted on, and solve for all of them.

        Warnings that look at rows are not issued.

        Parameters
        ----------
        other : OptimalSteeringTransformer
            Fitted, in parts or not, on other rows of the same columns. It does not change.
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
            If `other` is not an OptimalSteeringTransformer.
        ValueError
            If their columns, families or sensitive features differ, one of them is a copula, or
            the rows are too few to solve; nothing is added then.
        """
        self._validate_params()
        options = self._options()
        if not isinstance(other, OptimalSteeringTransformer):
            raise TypeError(
                "merge adds the rows of another OptimalSteeringTransformer, got a "
                f"{type(other).__name__}."
            )
        check_is_fitted(other, "n_features_in_")
        own, theirs = getattr(self, "_sums", None), other._sums
        if theirs is None or (own is None and hasattr(self, "steering_")):
            raise ValueError(NO_SUMS)
        names = getattr(other, "feature_names_in_", None)
        first = own is None
        if not first:
            self._check_named_alike(names)
            if names is not None and names.tolist() != self.feature_names_in_.tolist():
                raise ValueError(
                    "The feature names should match: they are "
                    f"{check.abbreviate(self.feature_names_in_)} here and "
                    f"{check.abbreviate(names)} there."
                )
        columns = range(other.n_features_in_) if other._columns is None else other._columns
        table = pd.DataFrame(columns=pd.Index(columns, tupleize_cols=False))
        ids = self.sensitive_feature_ids
        places = [] if ids is None else check.sensitive_positions(table, ids)
        kept = theirs if first else own
        options = self._resume(options, kept)
        kept.check_same(options.family, places, options.tied_sums)
        self._keep(theirs if first else own.merge(theirs), options, finish)
        if first:
            self.n_features_in_, self._columns = other.n_features_in_, other._columns
            if names is not None:
                self.feature_names_in_ = names
        return self

    def _options(self):
        """Return the parameters that a fit reads, by value."""
        derived = {
            "infer_groups": self.group_strategy == "posterior",
            "pool_unseen": self.handle_unknown == "pooled",
        }
        names = [field.name for field in fields(SteeringOptions) if field.name not in derived]
        return SteeringOptions(**{name: getattr(self, name) for name in names}, **derived)

    def _choose(self, options, rows):
        """Return options with the family chosen for rows, and their one-hot blocks."""
        if self.family != "auto":
            return self._with_family(options, self.family), []
        if rows.n_rows == 0:
            return self._with_family(options, "normal"), []
        blocks = find_one_hot(rows.features)
        family = choose_family(rows.features, blocks, rows.weights)
        return self._with_family(options, family), blocks

    def _resume(self, options, sums):
        """Return options with the family that was chosen for earlier rows."""
        return self._with_family(options, sums.family if self.family == "auto" else self.family)

    def _with_family(self, options, family):
        """Return options with a family, and the conditions that suit it if these are "auto"."""
        conditions = self.conditions
        if conditions == "auto":
            # Without labels, identical conditions would change nothing.
            chosen = (
                self.family == "auto"
                and family == "copula"
                and self.label_strategy not in ("none", "channel")
            )
            conditions = "identical" if chosen else "affine"
        return replace(options, family=family, conditions=conditions)

    def _sum(self, rows, options, blocks=()):
        """Return sums over rows; the columns of one-hot blocks are not steered."""
        unsteered = tuple(int(j) for block in blocks for j in block)
        return StreamedRows.from_rows(rows, options.family, options.tied_sums, unsteered)

    def _check_named_alike(self, names):
        """Refuse named columns after unnamed ones, and unnamed ones after named ones."""
        before = getattr(self, "feature_names_in_", None)
        if (before is None) != (names is None):
            had, has = ("feature names", "none") if names is None else ("no feature names", "some")
            raise ValueError(
                f"X had {had} in an earlier call but has {has} now: pass DataFrames or arrays "
                "consistently."
            )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "steering_")

    def _keep(self, sums, options, finish, X=None, y=None, sample=None):
        """Keep sums, once they are solved for if that is wanted now."""
        if finish:
            check.check_variety(sums.classes, sums.groups)
            self._fit(sums, options, X, y, sample)
            return
        if X is not None:
            self._record_columns(X, y)
        self._sums = sums

    def _fit(self, data, options, X=None, y=None, sample=None, blocks=None):
        """Fit to rows, or to sums over them; `sample` holds rows to check the fit on."""
        seed = 0
        if self.random_state is not None or self.family != "auto" or not options.ranks:
            seed = int(check_random_state(self.random_state).randint(2**31))
        steering = fit_steering(data, options, seed, blocks)
        texts = find_problems(steering, sample)
        # A copula that is asked for has no grids, and is fitted many times in searches.
        if sample is not None and (self.family == "auto" or not options.ranks):
            texts += _find_recovery(steering, sample)
        unsteered = getattr(data, "unsteered", ())
        if unsteered:
            texts.append(describe_unsteered(check.abbreviate([data.names[j] for j in unsteered])))
        for text in texts:
            warnings.warn(text, SteeringWarning, stacklevel=3)

        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        self._record(X, y, data)
        self.steering_ = steering
        self._sums = data if isinstance(data, StreamedRows) else None
        self.__dict__.pop("_certificate", None)

    def transform(self, X, *, sensitive_features=None, row_ids=None):
        """Move rows of known group and unknown label into the reference frame.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X. The columns of a frame are matched by name
            to those of ``fit``.
        row_ids : array-like of shape (n,), default=None
            Identifiers of the rows, on which draws then depend; see Notes.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            The columns of X in order, without the sensitive ones. A frame after ``set_output``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the input cannot be used, or a group was not seen in ``fit``.
        """
        check_is_fitted(self)
        table, codes = self._find_groups(X, sensitive_features)
        features = check.split_features(table, self.sensitive_positions_)[0]
        if self.max_drift is not None:
            names = self.get_feature_names_out()
            for text in find_drift(self.steering_, features, codes, self.max_drift, names):
                warnings.warn(text, SteeringWarning, stacklevel=2)
        words = check.row_words(row_ids, len(features))
        return self.steering_.transform(features, codes, row_words=words)

    def fit_transform(self, X, y, *, sensitive_features=None, sample_weight=None, row_ids=None):
        """Fit, then transform the same rows; the label never moves a row.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels, used to fit only.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        sample_weight : array-like of shape (n,), default=None
            Frequencies.
        row_ids : array-like of shape (n,), default=None
            As in ``transform``.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Equal to ``fit(...).transform(...)``.
        """
        self.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight)
        return self.transform(X, sensitive_features=sensitive_features, row_ids=row_ids)

    def transform_labeled(self, X, y, *, sensitive_features=None):
        """Move rows of known group *and label* into the reference frame.

        Use it only to train on the ideal distribution: new rows have no label, and on discrete
        features the moved values reveal the label.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            The columns of X in order, without the sensitive ones. A frame after ``set_output``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the input cannot be used, or a group or label was not seen in ``fit``.
        """
        check_is_fitted(self)
        table, codes = self._find_groups(X, sensitive_features, labeled=True)
        features = check.split_features(table, self.sensitive_positions_)[0]
        labels = self._check_labels(y, len(features))
        moved = self.steering_.transform(features, codes, labels)
        return _wrap_data_with_container("transform", moved, X, self)

    def ideal_sample_weight(self, X, y, *, sensitive_features=None):
        """Return the weights that carry each row's (label, group) to the ideal priors.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``; only its sensitive columns are used.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.

        Returns
        -------
        ndarray of shape (n,)
            All ones with ``priors="keep"``; with ``"independent"`` the reweighing of Kamiran and
            Calders. Rows that move as those of unknown group have weight 1.
        """
        check_is_fitted(self)
        codes = self._find_groups(X, sensitive_features, labeled=True)[1]
        return self.steering_.row_weights(self._check_labels(y, len(codes)), codes)

    def _find_groups(self, X, sensitive_features, labeled=False):
        """Return rows after ``fit`` as a table, and the positions of their groups."""
        table, options = self._check_columns(X), self.steering_.options
        may_miss = options.infer_groups and not labeled
        attribute = check.find_attribute(
            table, sensitive_features, self.sensitive_positions_, required=not may_miss
        )
        if attribute is not None:
            attribute = check.match_attribute(attribute, self.sensitive_names_)
        codes = check.attribute_codes(
            attribute,
            self.groups_,
            table.shape[0],
            allow_missing=may_miss,
            allow_unseen=options.pool_unseen,
        )
        return table, codes

    def _may_lack_attribute(self):
        return self.steering_.options.infer_groups

    @property
    def certificate_(self):
        """Bounds on gaps under the fitted Gaussians, where rows support these."""
        check_is_fitted(self)
        if "_certificate" not in self.__dict__:
            withheld = self.certificate_notes_
            bounds = {}
            if len(withheld) < len(CONSTRAINTS):
                bounds = self.steering_.certify(CERTIFICATE_DRAWS)
            self._certificate = {
                name: bound for name, bound in bounds.items() if name not in withheld
            }
        return self._certificate

    @property
    def certificate_notes_(self):
        """Why ``certificate_`` lacks a constraint."""
        check_is_fitted(self)
        return self.steering_.doubt_certificates()

    @property
    def family_(self):
        """The family, which ``family="auto"`` chooses."""
        return self.steering_.options.family

    @property
    def pooled_groups_(self):
        """Groups without a distribution of their own."""
        return list(self.steering_.grouping.small)

    @property
    def reference_group_(self):
        """The group that keeps its distribution."""
        return self.steering_.distribution.groups.tolist()[self.steering_.reference]

    @property
    def pos_label_(self):
        """The positive label."""
        return self.steering_.labels[self.steering_.positive]

    @property
    def steered_features_(self):
        """Positions of the features that vary."""
        return self.steering_.varying

    @property
    def distribution_(self):
        """Fitted distribution of the features that vary."""
        return self.steering_.distribution

    @property
    def ideal_(self):
        """The ideal distribution in the reference frame."""
        return self.steering_.result.ideal

    @property
    def result_(self):
        """The solution."""
        return self.steering_.result

    @property
    def maps_(self):
        """Maps of every label and group into the reference frame."""
        return self.steering_.maps

    @property
    def channel_(self):
        """Maps, noise and blurred groups with ``label_strategy="channel"``, None otherwise."""
        return self.steering_.channel

    @property
    def _draws_by_occurrence(self):
        """Whether the k-th of identical rows of a call gets the k-th draw."""
        return self.steering_.options.draws and self.channel_ is None

    @property
    def group_maps_(self):
        """Label-free maps into the reference frame."""
        return self.steering_.group_maps


def _find_recovery(steering, rows):
    """Return a warning where a boosted classifier recovers the group better after steering.

    Without discrete features there is no grid, and nothing is measured.
    """
    options, groups = steering.options, steering.groups
    if options.strength == 0.0 or steering.distribution.n_groups == 1:
        return []
    rng = np.random.default_rng(steering.seed)
    chosen = np.sort(rng.permutation(rows.n_rows)[:SAMPLED_ROWS])
    labels = np.array(positions(rows.classes, steering.labels))[rows.label_codes[chosen]]
    codes = np.array(positions(rows.groups, groups))[rows.group_codes[chosen]]
    # A tree is grown for each group.
    largest = np.argsort(-np.bincount(codes), kind="stable")[:MEASURED_GROUPS]
    kept = np.isin(codes, largest)
    chosen, labels, codes = chosen[kept], labels[kept], codes[kept]
    subgroups = labels * len(groups) + codes
    frequent = np.bincount(subgroups, minlength=labels.max() * len(groups) + len(groups)) > 1
    several = frequent.reshape(-1, len(groups)).sum(axis=1) > 1
    kept = frequent[subgroups] & several[labels]
    chosen, labels, codes = chosen[kept], labels[kept], codes[kept]
    X = rows.features[chosen]
    if len(X) == 0 or not any(x.min() < x.max() and tie_probability(x) > DISCRETE for x in X.T):
        return []
    labels = np.unique(labels, return_inverse=True)[1]
    own = np.unique(codes, return_inverse=True)[1]
    before, deviation = _recover_group(X, labels, own, steering.seed)
    moved = steering.transform(X, codes)
    after, _ = _recover_group(moved, labels, own, steering.seed)
    return [describe_recovery(before, after, options.ranks)] if after > before + deviation else []


def _recover_group(X, labels, codes, seed):
    """Return the AUC of a small boosted classifier that recovers the group, and its deviation.

    It knows the label and is cross-fitted in two folds. Its AUC within a label, where the label
    tells nothing, is averaged over groups and labels, and so is the standard deviation without a
    difference between groups.
    """
    # These are slow to import.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    n_groups, rows = codes.max() + 1, np.column_stack([X, labels])
    subgroups = labels * n_groups + codes
    probabilities = np.empty((len(X), n_groups))
    for train, test in StratifiedKFold(2, shuffle=True, random_state=seed).split(rows, subgroups):
        attacker = HistGradientBoostingClassifier(
            learning_rate=0.4,
            # Every round grows a tree for each group, a single one for two groups.
            max_iter=max(MEASURED_TREES // (n_groups if n_groups > 2 else 1), 3),
            max_leaf_nodes=16,
            min_samples_leaf=5,
            max_bins=127,
            early_stopping=False,
            random_state=seed,
        )
        attacker.fit(rows[train], codes[train])
        probabilities[test] = attacker.predict_proba(rows[test])
    found = []
    for label in range(labels.max() + 1):
        within = labels == label
        for group in np.unique(codes[within]):
            own = codes[within] == group
            m, others = int(own.sum()), int((~own).sum())
            ranks = rankdata(probabilities[within, group])[own].sum()
            auc = (ranks - m * (m + 1) / 2) / (m * others)
            found.append((auc, null_auc_deviation(m, others, 2)))
    return np.mean(found, axis=0)
