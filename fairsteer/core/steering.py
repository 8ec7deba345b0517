"""The fitted steering: made from training rows and options, it applies and certifies itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fairsteer.core.affine import AffineMap, MeanDisplacement, transport_map
from fairsteer.core.certificates import Certificate, estimated_certificates, model_certificates
from fairsteer.core.channels import LabelFreeChannel, gaussian_channel
from fairsteer.core.constraints import (
    ANY_LABEL,
    CONSTRAINTS,
    compared_labels,
    compared_moments,
    positive_position,
)
from fairsteer.core.gaussians import SubgroupGaussians, gaussians_from_moments, minimum_rows
from fairsteer.core.groups import (
    UNKNOWN,
    Grouping,
    check_counts,
    choose_reference,
    pool_small_groups,
    separate_groups,
)
from fairsteer.core.linalg import Array, distinct, read_only
from fairsteer.core.marginals import (
    Blocks,
    Copula,
    Marginals,
    merge_blocks,
    order_categories,
    split_blocks,
    summed_marginals,
)
from fairsteer.core.messages import subgroup_name
from fairsteer.core.moments import pool_labels, row_blocks, subgroup_moments
from fairsteer.core.posterior import (
    GroupMotion,
    LabelDensities,
    PopulationMotion,
    population_densities,
)
from fairsteer.core.priors import ideal_priors, prior_weights
from fairsteer.core.row_draws import RowDraws, bin_places, value_words
from fairsteer.core.solvers import SteeringResult, nearest_ideal, unchanged
from fairsteer.core.training_rows import StreamedRows, TrainingRows, is_discrete

LABEL_STRATEGIES = ("posterior", "map", "sample", "none", "channel")
"""How an unknown label is treated; ``"none"`` is one map per group, ``"channel"`` one and noise."""
_Moments = tuple[Array, Array, Array]


@dataclass(frozen=True)
class SteeringOptions:
    """What a fit needs to know besides rows.

    Parameters
    ----------
    constraint, pos_label, intervention, reference_group, conditions, family, covariance_type, \
shrinkage, priors, label_strategy, output, strength, small_groups
        As in :class:`fairsteer.OptimalSteeringTransformer`.
    infer_groups : bool
        Whether rows may lack their group (``group_strategy="posterior"``).
    pool_unseen : bool
        Whether rows may be of groups that were not seen (``handle_unknown="pooled"``).

    Raises
    ------
    ValueError
        If parameters contradict each other.
    """

    constraint: str = "equalized_odds"
    pos_label: object = None
    intervention: str = "affirmative"
    reference_group: object = None
    conditions: str = "affine"
    family: str = "normal"
    covariance_type: str = "full"
    shrinkage: float | str = 0.01
    priors: str = "keep"
    label_strategy: str = "posterior"
    output: str = "original"
    strength: float = 1.0
    small_groups: str = "error"
    infer_groups: bool = False
    pool_unseen: bool = False

    def __post_init__(self) -> None:
        changes_nothing = (
            self.conditions == "identical"
            and self.label_strategy == "none"
            and self.family != "copula_by_group"
        )
        if self.constraint == "equalized_odds" and changes_nothing:
            raise ValueError(
                "conditions='identical' with label_strategy='none' changes no row, because under "
                "identical conditions the maps differ between labels only: use "
                "label_strategy='posterior' or conditions='affine'."
            )
        if self.channels:
            for name, value in (
                ("conditions", "affine"),
                ("intervention", "affirmative"),
                ("strength", 1.0),
            ):
                if getattr(self, name) not in (value, "auto"):
                    raise ValueError(
                        f"label_strategy='channel' has {name}={value!r} only, got "
                        f"{getattr(self, name)!r}: the channel is exactly fair or nothing, and in "
                        "the frame of the reference group."
                    )
        if self.output == "scores" and not self.ranks:
            raise ValueError(
                "output='scores' returns the normal scores of the copula, but "
                f"family={self.family!r} has none: use family='copula' or output='original'."
            )

    @property
    def ranks(self) -> bool:
        """Whether the family works with ranks of all rows."""
        return self.family in ("copula", "copula_by_group")

    @property
    def channels(self) -> bool:
        """Whether rows of unknown label are moved by a channel."""
        return self.label_strategy == "channel" and self.constraint == "equalized_odds"

    @property
    def draws(self) -> bool:
        """Whether rows need random draws."""
        return self.ranks or self.channels or self.label_strategy == "sample"

    @property
    def estimation(self) -> dict[str, Any]:
        """How Gaussians are estimated from moments."""
        return {
            "covariance_type": self.covariance_type,
            "shrinkage": self.shrinkage,
            "borrow": self.small_groups == "shrunk",
        }

    @property
    def tied_sums(self) -> bool:
        """Whether one scatter matrix a group is enough."""
        one_label = self.constraint == "equal_opportunity"
        return self.covariance_type == "tied" and not one_label and self.small_groups != "shrunk"


@dataclass(frozen=True, eq=False)
class FittedSteering:
    """The result of a fit: it moves rows, weighs them and certifies itself.

    Parameters
    ----------
    options : SteeringOptions
        What the fit was asked for.
    seed : int
        Seed of draws.
    labels, groups : ndarray of shapes (K,) and (G,)
        Of the training rows.
    grouping : Grouping
        Which fitted distribution serves each group.
    positive : int
        Position of the positive label.
    reference : int
        Position, among the fitted groups, of the one that keeps its distribution.
    varying : ndarray of shape (d,)
        Positions of the features that vary, which are steered.
    one_hot : list of tuple of ndarray
        Blocks of indicators that are steered as one column each, which is the first of the block:
        positions of columns, and ranks of categories.
    marginals : Marginals
        Transforms of the features to scores.
    moments : tuple of ndarray
        Counts, means and scatter matrices of every label and fitted group, in the scores.
    distribution : SubgroupGaussians
        Fitted to the subgroups that the constraint compares.
    result : SteeringResult
        The nearest ideal distribution.
    maps : AffineMap of shape (K, G)
        Of every compared label and fitted group into the reference frame, at full strength.
    group_maps : AffineMap of shape (G,)
        Of every fitted group into the reference frame, at full strength.
    population : SubgroupGaussians or None
        Distribution on the common scale, where rows may be of unknown group.
    channel : LabelFreeChannel or None
        What moves rows of unknown label with ``label_strategy="channel"``.
    weights : ndarray of shape (K, G + 1) or None
        Weight of a row of every label and fitted group, in the end unknown; None where all are 1.
    discrete : bool
        Whether most features are discrete.
    """

    options: SteeringOptions
    seed: int
    labels: NDArray[Any]
    groups: NDArray[Any]
    grouping: Grouping
    positive: int
    reference: int
    varying: NDArray[np.intp]
    one_hot: Blocks
    marginals: Marginals
    moments: _Moments
    distribution: SubgroupGaussians
    result: SteeringResult
    maps: AffineMap
    group_maps: AffineMap
    population: SubgroupGaussians | None
    channel: LabelFreeChannel | None
    weights: Array | None
    discrete: bool

    def __post_init__(self) -> None:
        for name in ("labels", "groups", "varying", "weights"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, read_only(array))
        object.__setattr__(self, "moments", tuple(map(read_only, self.moments)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and files lose write protection.
        self.__dict__.update(state)
        self.__post_init__()

    def motion(self, group: int, labeled: bool = False) -> GroupMotion | PopulationMotion | None:
        """Return how rows of a fitted group move, prepared for any number of rows.

        Parameters
        ----------
        group : int
            Its position, -1 if unknown.
        labeled : bool, default=False
            Whether the labels of the rows will be given.

        Returns
        -------
        GroupMotion, PopulationMotion or None
            None for a group whose rows stay where they are.
        """
        if group == UNKNOWN:
            population = self.population
            assert population is not None
            return PopulationMotion(
                self.marginals,
                population_densities(population),
                tuple(self.motion(a, labeled) for a in range(population.n_groups)),
            )
        strategy, several = self.options.label_strategy, self.distribution.n_labels > 1
        by_label = labeled or (strategy != "none" and several)
        noise = None
        if self.channel is not None and not labeled:
            by_label, maps = False, self.channel.maps[[group]]
            noise = self.channel.noise[group] if self.channel.blurred[group] else None
        else:
            maps = self.maps[:, group] if by_label else self.group_maps[[group]]
        if maps.is_identity and noise is None:
            return None
        densities = None
        if by_label and not labeled:
            densities = LabelDensities.of_group(self.distribution, group)
        origin = self.distribution.means[:, group].mean(axis=0)
        return GroupMotion(
            marginals=self.marginals,
            group=group,
            displacement=MeanDisplacement.of_maps(maps, origin),
            densities=densities,
            strategy=strategy,
            strength=self.options.strength,
            noise=noise,
        )

    def merge(self, features: Array) -> Array:
        """Return features (n, d) with one column for each block of indicators."""
        return merge_blocks(features, self.one_hot) if self.one_hot else features

    def draw(
        self,
        features: Array,
        codes: NDArray[np.intp],
        row_words: NDArray[np.uint64] | None = None,
    ) -> RowDraws | None:
        """Return the draws of merged rows of fitted groups, None where nothing is drawn.

        They depend on the words, one for each row, where these are passed.
        """
        if not self.options.draws:
            return None
        n_draws = len(self.varying) + 1
        if self.channel is not None:
            n_draws += self.channel.n_draws
        if row_words is not None:
            return RowDraws.of_identifiers(row_words, self.seed, n_draws)
        if self.channel is not None:
            words = value_words(features, codes)
            return RowDraws.of_identifiers(words, self.seed, n_draws)
        bins = bin_places(self._places(features))
        return RowDraws(bins, codes, self.seed, n_draws, rows=features)

    def _places(self, features: Array) -> Iterator[Array]:
        """Yield where the values of each steered feature are among those of training."""
        if isinstance(self.marginals, Copula):
            for k, j in enumerate(self.varying):
                yield self.marginals.place(features[:, j].astype(np.float64), k)
            return
        X = features[:, self.varying].astype(np.float64)
        scores = self.marginals.scores(X, self.reference, None)
        center = self.distribution.means[:, self.reference].mean(axis=0)
        yield from ndtr((scores - center) / self.distribution.feature_scale).T

    def transform(
        self,
        features: Array,
        codes: NDArray[np.intp],
        labels: NDArray[np.intp] | None = None,
        row_words: NDArray[np.uint64] | None = None,
    ) -> Array:
        """Move rows into the reference frame, block by block.

        Parameters
        ----------
        features : ndarray of shape (n, d)
            All features, those that do not vary included; float32 or float64.
        codes : ndarray of shape (n,)
            Positions in ``groups``, -1 where the group is unknown.
        labels : ndarray of shape (n,), default=None
            Positions of known labels.
        row_words : ndarray of shape (n,), default=None
            Identifiers on which the draws depend instead of the values.

        Returns
        -------
        ndarray of shape (n, d)

        Raises
        ------
        ValueError
            If a row has no scores under the family, or is too far from every Gaussian.
        """
        codes = self.grouping.fitted_codes(codes)
        original, features = features, self.merge(features)
        moved, varying = np.empty_like(features), self.varying
        self.marginals.check(features, varying)
        draws = self.draw(features, codes, row_words)
        groups = np.flatnonzero(np.bincount(codes + 1)) - 1
        motions = {int(group): self.motion(int(group), labels is not None) for group in groups}
        if self.options.output == "original":
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
                own = None if draws is None else draws[where]
                known = None if labels is None else labels[where]
                step = None if motion is None else motion(X, own, known)
                arrived = self._arrive(X, own, step)
                moved[np.ix_(where, varying) if some_constant else where] = arrived
        split_blocks(moved, features, original, self.one_hot)
        return moved

    def _arrive(self, X: Array, draws: Array | None, step: Array | None) -> Array:
        """Return where rows arrive after a step, which is overwritten."""
        scores = self.options.output == "scores"
        if step is None and not scores:
            return X
        common = self.marginals.common(X, None if draws is None else draws[:, : X.shape[1]])
        if step is None:
            return common
        if common is X:
            step += X
            return step
        moved: Array = common + step
        if scores:
            return moved
        # Rounding on the way back may miss a feature that does not move.
        return np.where(step == 0.0, X, self.marginals.inverse(moved))

    def _certify_channel(
        self, joint: SubgroupGaussians, draws: dict[str, int]
    ) -> dict[str, Certificate]:
        """Bound the gaps of the output of the channel."""
        channel = self.channel
        assert channel is not None
        means, covariances = channel.push(joint.means, joint.covariances)
        output = replace(joint, means=means, covariances=covariances)
        ideal = output.like_group(self.reference)
        if len(distinct(joint.covariances)) == 1:
            return model_certificates(
                output,
                AffineMap.identity(joint.n_features, (joint.n_groups,)),
                ideal,
                self.positive,
            )
        return estimated_certificates(output, None, ideal, self.reference, self.positive, **draws)

    def row_weights(self, labels: NDArray[np.intp], codes: NDArray[np.intp]) -> Array:
        """Return the weights (n,) that carry rows of labels and groups to the ideal priors."""
        if self.weights is None:
            return np.ones(len(codes))
        weights: Array = self.weights[labels, self.grouping.fitted_codes(codes)]
        return weights

    def _find_obstacle(self) -> str | None:
        """Return why nothing can be certified even if the fitted Gaussians are right."""
        options = self.options
        if self.distribution.n_groups == 1 or not self.grouping.complete:
            return "Some groups are merged, and their rows have no distribution of their own."
        if options.infer_groups:
            return "Groups are inferred, so rows do not move by the map of their group."
        if options.family == "copula_by_group" and options.strength < 1.0:
            return "A copula by group that moves rows part of the way has no known distribution."
        if options.label_strategy in ("map", "sample") and options.constraint == "equalized_odds":
            return f"The distribution after label_strategy={options.label_strategy!r} is not known."
        return None

    def doubt_certificates(self) -> dict[str, str]:
        """Return why there is no certificate that the Gaussian model supports, by constraint.

        The total variation of an estimated Gaussian from the true one is about
        ``sqrt(d (d + 3) / (8 n))``: .1 where a subgroup has ``12 d (d + 3)`` rows.
        """
        obstacle = self._find_obstacle()
        if self.discrete and not obstacle:
            obstacle = "Most features are discrete, so they are not Gaussian given label and group."
        if obstacle:
            return dict.fromkeys(CONSTRAINTS, obstacle)
        labels, groups = self.labels, self.distribution.groups.tolist()
        counts, d = self.moments[0], len(self.varying)
        needed = 12 * d * (d + 3)
        by_constraint = {
            "equalized_odds": range(len(labels)),
            "equal_opportunity": [self.positive],
            "demographic_parity": range(len(labels)),
        }
        found = {}
        for constraint, places in by_constraint.items():
            own = counts[list(places)]
            i, a = np.unravel_index(int(own.argmin()), own.shape)
            if own[i, a] < needed:
                name = subgroup_name(labels[list(places)[i]], groups[a])
                error = np.sqrt(d * (d + 3) / (8.0 * max(own[i, a], 1.0)))
                found[constraint] = (
                    f"{name} has {own[i, a]:g} rows, fewer than {needed} = 12 d (d + 3) for d = "
                    f"{d} features: its estimated Gaussian is about {min(error, 1.0):.2f} in total "
                    "variation from the true one."
                )
        return found

    def certify(self, n_samples: int) -> dict[str, Certificate]:
        """Bound the gaps of every classifier of steered features, under the fitted model.

        Parameters
        ----------
        n_samples : int
            Draws from each subgroup, where a bound is a Monte Carlo estimate.

        Returns
        -------
        dict of str to Certificate
            By constraint; empty where nothing can be certified.
        """
        options, fitted, ideal = self.options, self.distribution, self.result.ideal
        constraint, strength = options.constraint, options.strength
        if self._find_obstacle():
            return {}
        maps, group_maps = self.maps.partial(strength), self.group_maps.partial(strength)
        draws = {"n_samples": n_samples, "random_state": self.seed}
        own = {}
        if constraint == "equal_opportunity":
            exact = model_certificates(fitted, group_maps, ideal, 0)
            own = {"equal_opportunity": exact["equal_opportunity"]}
        joint = _estimate(
            self.labels, fitted.groups, self.moments, options.estimation, self.varying.tolist()
        )
        if joint is None:
            return own
        if constraint != "equalized_odds":
            # One affine map per group: the mapped distribution is compared with the reference's.
            mapped = joint.pushforward(group_maps)
            ideal = mapped.like_group(self.reference)
            if joint.n_features == 1:
                return model_certificates(joint, group_maps, ideal, self.positive) | own
            estimated = estimated_certificates(
                mapped, None, ideal, self.reference, self.positive, **draws
            )
            return estimated | own
        if self.channel is not None:
            return self._certify_channel(joint, draws)
        if options.label_strategy == "none":
            return model_certificates(joint, group_maps, ideal, self.positive)
        return estimated_certificates(joint, maps, ideal, self.reference, self.positive, **draws)


def fit_steering(
    data: TrainingRows | StreamedRows,
    options: SteeringOptions,
    seed: int,
    blocks: list[NDArray[np.intp]] | None = None,
) -> FittedSteering:
    """Estimate the distributions, find the nearest ideal one and compute the maps.

    Parameters
    ----------
    data : TrainingRows or StreamedRows
        Rows, or sums over rows where the family needs no more.
    options : SteeringOptions
        What is asked for.
    seed : int
        Seed of draws.
    blocks : list of ndarray of int, default=None
        Positions of the columns of each block of indicators that the copula steers as one column.

    Returns
    -------
    FittedSteering

    Raises
    ------
    ValueError
        If the positive label or the reference group does not exist, or a subgroup has too few rows.
    """
    marginals: Marginals
    if isinstance(data, TrainingRows) and not options.ranks:
        data = StreamedRows.from_rows(data, options.family, options.tied_sums)
    discrete = data.discrete if isinstance(data, StreamedRows) else is_discrete(data)
    positive = positive_position(options.pos_label, data.classes)
    one_hot: Blocks = []
    if blocks and isinstance(data, TrainingRows):
        one_hot = _order_blocks(blocks, data, positive)
        data = data._replace(features=merge_blocks(data.features, one_hot))
    pooled = options.small_groups == "pooled"
    grouping = separate_groups(data.groups)
    if pooled:
        needed = minimum_rows(n_features=len(data.varying_features()), **options.estimation)
        grouping = pool_small_groups(data, options.constraint, options.priors, positive, needed)
    rows = data.regrouped(grouping.fitted, grouping.position)
    reference = choose_reference(rows, grouping, options.reference_group, positive)
    check_counts(rows, options.constraint, options.priors, positive, many_groups=pooled)
    if isinstance(rows, TrainingRows):
        rows = rows.repeated()
        varying = rows.varying_features()
        marginals, moments, common = _fit_copula(rows, options, varying, positive, reference, seed)
    else:
        varying = rows.varying_features()
        marginals = summed_marginals(options.family, [rows.names[j] for j in varying])
        moments = common = rows.moments.of_features(varying).parts
    estimation, features = options.estimation, [rows.names[j] for j in varying]
    # A distribution of all rows, which moves none, is estimated however few there are.
    estimation["borrow"] |= grouping.n_own == 0
    distribution = gaussians_from_moments(
        compared_labels(options.constraint, rows.classes, positive),
        rows.groups,
        *compared_moments(options.constraint, *moments, positive),
        **estimation,
        features=features,
    )
    population = None
    if options.infer_groups or options.pool_unseen or not grouping.complete:
        population = _estimate(rows.classes, rows.groups, common, estimation, features)
        if population is None:
            population = gaussians_from_moments(
                np.array([ANY_LABEL]),
                rows.groups,
                *pool_labels(*common),
                **estimation,
                features=features,
            )
    result = _solve(distribution, options, rows.groups[reference])
    channel = None
    if options.channels and distribution.n_groups > 1:
        channel = gaussian_channel(distribution, rows.groups[reference])
        result = replace(result, channel=channel)
    group_maps, maps = _reference_maps(distribution, result)
    return FittedSteering(
        options=options,
        seed=seed,
        labels=data.classes,
        groups=data.groups,
        grouping=grouping,
        positive=positive,
        reference=reference,
        varying=varying,
        one_hot=one_hot,
        marginals=marginals,
        moments=moments,
        distribution=distribution,
        result=result,
        maps=maps,
        group_maps=group_maps,
        population=population,
        channel=channel,
        weights=_subgroup_weights(rows.counts / rows.counts.sum(), options.priors, result),
        discrete=discrete,
    )


def _order_blocks(blocks: list[NDArray[np.intp]], rows: TrainingRows, positive: int) -> Blocks:
    """Order categories by their share of positives, as if label and group were independent.

    Otherwise categories of a group with many positives would be at the end, whatever they say of
    the label.
    """
    counts = rows.counts
    priors = counts / counts.sum()
    balance = np.ones_like(counts)
    independent = priors.sum(axis=1)[:, None] * priors.sum(axis=0)
    np.divide(independent, priors, out=balance, where=priors > 0.0)
    weights = rows.weights * balance[rows.label_codes, rows.group_codes]
    return order_categories(blocks, rows.features, rows.label_codes == positive, weights)


def _fit_copula(
    rows: TrainingRows,
    options: SteeringOptions,
    varying: NDArray[np.intp],
    positive: int,
    reference: int,
    seed: int,
) -> tuple[Copula, _Moments, _Moments]:
    """Fit the copula; return it with the moments of scores and of scores among all rows."""
    X = rows.features[:, varying].astype(np.float64)
    ranked = rows.weights
    if options.constraint == "equal_opportunity":
        ranked = np.where(rows.label_codes == positive, ranked, 0.0)
    by_group = options.family == "copula_by_group"
    copula = Copula(
        X,
        rows.group_codes,
        rows.weights,
        len(rows.groups),
        reference,
        ranked if by_group else None,
    )

    def moments(scores: Array) -> _Moments:
        return subgroup_moments(
            scores,
            rows.label_codes,
            rows.group_codes,
            rows.counts.shape,
            rows.weights,
            tied=options.tied_sums,
        )

    bins = bin_places(copula.place(x, j) for j, x in enumerate(X.T))
    draws = RowDraws(bins, rows.group_codes, seed, len(varying) + 1, rows=rows.features)
    ties = draws[:][:, :-1]
    common = moments(copula.common(X, ties))
    if not by_group:
        return copula, common, common
    scores = np.empty_like(X)
    for group in range(len(rows.groups)):
        own = rows.group_codes == group
        scores[own] = copula.scores(X[own], group, ties[own])
    return copula, moments(scores), common


def _estimate(
    labels: NDArray[Any],
    groups: NDArray[Any],
    moments: _Moments,
    estimation: dict[str, Any],
    features: list[Any],
) -> SubgroupGaussians | None:
    """Return the distribution of every label and group, None where a subgroup is too small."""
    if moments[0].min() < minimum_rows(n_features=moments[1].shape[-1], **estimation):
        return None
    return gaussians_from_moments(labels, groups, *moments, **estimation, features=features)


def _solve(
    distribution: SubgroupGaussians, options: SteeringOptions, reference_group: object
) -> SteeringResult:
    """Find the nearest ideal distribution, where there is more than one group."""
    if distribution.n_groups == 1:
        return unchanged(distribution)
    return nearest_ideal(
        distribution,
        intervention=options.intervention,
        reference_group=reference_group,
        conditions="affine" if distribution.n_labels == 1 else options.conditions,
        priors=options.priors,
    )


def _reference_maps(
    distribution: SubgroupGaussians, result: SteeringResult
) -> tuple[AffineMap, AffineMap]:
    """Return maps into the reference frame of each group, and of each of its labels."""
    frames = result.group_maps.inverse()
    if distribution.n_labels == 1:
        return frames, frames[None]
    transport = transport_map(
        distribution.means,
        distribution.covariances,
        result.target.means,
        result.target.covariances,
        distribution.feature_scale,
    )
    return frames, frames.compose(transport)


def _subgroup_weights(priors: Array, kind: str, result: SteeringResult) -> Array | None:
    """Return the weight of a row of every label and fitted group, in the end of unknown group."""
    if kind == "keep":
        return None
    target = result.target
    ideal = target.priors if target.n_labels > 1 else ideal_priors(priors, kind)
    return np.hstack([prior_weights(priors, ideal), np.ones((len(priors), 1))])
