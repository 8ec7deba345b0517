"""What interventions on synthetic Gaussian distributions cost, and which reach an ideal one.

Run ``python benchmarks/synthetic.py`` for the full study, ``--quick`` for two separations, one
seed and two groups (written as ``synthetic-quick``, so that it never replaces the full study).
Everything happens at population level: an intervention turns a distribution of (label, group,
features), Gaussian given label and group, into another; only the Monte Carlo rates in
several dimensions are estimated. Group ``a`` is the reference and keeps its distribution
under every intervention but reweighing and all subgroups.

Distributions, at separation t (0: all groups have the same features given the label)
    ``univariate``    d = 1, K = 2, G = 2; see :func:`univariate_distribution`.
    ``multivariate``  d = 5, K = 3, G = 3, random for each seed; see
                      :func:`multivariate_distribution`.

Interventions
    ``unmitigated``              the distribution itself.
    ``reweighing``               priors ``q_i q_a``, features unchanged.
    ``mean_matching``            every subgroup is shifted so that its mean given the label is the
                                 reference group's; covariances and priors are kept.
    ``mimic``                    every group is mapped, all its labels alike, by the affine
                                 optimal-transport map that carries the group's marginal mean and
                                 covariance onto the reference group's; priors are kept.
    ``mean_matching_reweighed``, ``mimic_reweighed``
                                 the same on the reweighed distribution.
    ``label_matching_reweighed`` mean and covariance given the label set to the reference's
                                 (``conditions="identical"``), and reweighing.
    ``channel_reweighed``        :func:`fairsteer.core.channels.gaussian_channel` on the reweighed
                                 distribution: one map and noise for each group, whatever the
                                 label, chosen for covariances that labels share.
    ``affirmative_affine``, ``affirmative_whitened``, ``all_subgroups_affine``,
    ``all_subgroups_whitened``   :func:`fairsteer.nearest_ideal` with this intervention and these
                                 conditions and ``priors="independent"``.

Columns of ``synthetic.csv``, one row per distribution, seed, separation and intervention
    ``law``, ``seed``, ``separation``, ``intervention``
        As above; the univariate distribution has no seed; the column is 0.
    ``kl``
        ``KL(intervened || data)`` of (label, group, features) in nats, priors included.
    ``error``
        Error of the Bayes-optimal group-aware classifier on the intervened distribution.
    ``demographic_parity``, ``equal_opportunity``, ``equalized_odds``
        Its gaps there, as :func:`fairsteer.core.ideal.bayes_metrics` defines them; positive is the
        last label.
    ``error_se``, ``demographic_parity_se``, ``equal_opportunity_se``, ``equalized_odds_se``
        Monte Carlo standard errors; 0 in one dimension, where rates are exact.
    ``ideal_gap``, ``prior_gap``
        Residuals of the ideal conditions on features (affine) and on priors.
    ``error_on_data``
        Error of the same classifier on the distribution before the intervention: quantiles in one
        dimension, otherwise Monte Carlo.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measuring import RESULTS
from pages import DOCS, rewrite
from scipy import special

from fairsteer import SubgroupGaussians, nearest_ideal
from fairsteer.core.affine import transport_map
from fairsteer.core.channels import gaussian_channel
from fairsteer.core.divergence import gaussian_kl, mixture_kl
from fairsteer.core.ideal import bayes_metrics, ideal_gap, prior_gap
from fairsteer.core.posterior import subgroup_log_densities
from fairsteer.core.priors import ideal_priors

GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")
MEASURES = ("error", *GAPS)
TABLE_SEPARATION = 2.0
NOISE = 4.0  # standard errors below which a gap may be 0
EXACT_ZERO = 5e-5  # prints as 0 with four decimals

NAMES = {
    "unmitigated": "unmitigated",
    "reweighing": "reweighing alone",
    "mean_matching": "mean matching",
    "mean_matching_reweighed": "mean matching, reweighed",
    "mimic": "mean and covariance (MiMiC)",
    "mimic_reweighed": "mean and covariance (MiMiC), reweighed",
    "label_matching_reweighed": "mean and covariance per label, reweighed",
    "channel_reweighed": "label-free channel, reweighed",
    "affirmative_whitened": "affirmative, whitened",
    "affirmative_affine": "affirmative, affine",
    "all_subgroups_whitened": "all subgroups, whitened",
    "all_subgroups_affine": "all subgroups, affine",
}


@dataclass(frozen=True)
class Plan:
    """Separations, seeds and draws of a study."""

    univariate: tuple[float, ...]
    multivariate: tuple[float, ...]
    n_seeds: int
    n_samples: int
    n_groups: int = 3


FULL = Plan(tuple(np.linspace(0.0, 3.0, 13)), (0.0, 0.5, 1.0, 2.0, 3.0), 4, 200_000)
QUICK = Plan((0.0, TABLE_SEPARATION), (0.0, TABLE_SEPARATION), 1, 100_000, n_groups=2)


# ---- distributions ---------------------------------------------------------------------------


def univariate_distribution(separation: float) -> SubgroupGaussians:
    """Return two labels and two groups; group b moves away from group a.

    Group a has ``N(0, 1)`` and ``N(2, 1)``. In group b the means are lower by ``t / 2`` and ``t``
    and the standard deviations are ``1 + t / 6`` and ``1 + t / 3``, so that its labels also come
    closer. ``P(label 1 | group)`` is .60 and .35, ``P(group)`` .6 and .4.

    Parameters
    ----------
    separation : float
        t, in within-subgroup standard deviations of group a.
    """
    t = separation
    means = np.array([[0.0, -t / 2], [2.0, 2.0 - t]])
    deviations = np.array([[1.0, 1 + t / 6], [1.0, 1 + t / 3]])
    priors = np.array([[0.40, 0.65], [0.60, 0.35]]) * [0.6, 0.4]
    return _distribution(priors, means[..., None], (deviations**2)[..., None, None])


def multivariate_distribution(separation: float, seed: int, n_groups: int = 3) -> SubgroupGaussians:
    """Return three labels and three groups in five dimensions; groups b and c move away.

    Group a has random means (standard normal times .8) and random covariances ``S_i`` with
    eigenvalues in [.5, 2]. In the other groups every mean is moved by ``t`` along a random unit
    vector of its own, and the covariance is ``S_i^{1/2} exp(t H / 2) S_i^{1/2}`` for a random
    symmetric ``H`` of unit Frobenius norm. ``P(label | group)`` is (.3, .3, .4), (.5, .3, .2) and
    (.4, .4, .2), ``P(group)`` .4, .35 and .25.

    Parameters
    ----------
    separation : float
        t, in the order of a within-subgroup standard deviation.
    seed : int
        Draws the distribution; the same directions at every separation.
    n_groups : int, default=3
        2 leaves out group c.
    """
    n_labels, d = 3, 5
    rng = np.random.default_rng(seed)
    base = 0.8 * rng.normal(size=(n_labels, 1, d))
    axes = np.linalg.qr(rng.normal(size=(n_labels, 1, d, d))).Q
    roots = (axes * np.sqrt(rng.uniform(0.5, 2.0, size=(n_labels, 1, 1, d)))) @ axes.mT
    direction = rng.normal(size=(n_labels, 3, d))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    warp = rng.normal(size=(n_labels, 3, d, d))
    warp = warp + warp.mT
    warp /= np.linalg.norm(warp, axis=(-2, -1), keepdims=True)
    direction[:, 0], warp[:, 0] = 0.0, 0.0
    values, vectors = np.linalg.eigh(separation / 2 * warp)
    covariances = roots @ (vectors * np.exp(values)[..., None, :]) @ vectors.mT @ roots
    conditional = np.array([[0.3, 0.5, 0.4], [0.3, 0.3, 0.4], [0.4, 0.2, 0.2]])
    priors = (conditional * [0.4, 0.35, 0.25])[:, :n_groups]
    means = base + separation * direction
    return _distribution(priors / priors.sum(), means[:, :n_groups], covariances[:, :n_groups])


def _distribution(
    priors: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> SubgroupGaussians:
    return SubgroupGaussians(
        labels=np.arange(len(priors)),
        groups=np.array(list("abc"[: priors.shape[1]])),
        priors=priors,
        means=means,
        covariances=(covariances + covariances.mT) / 2,
        counts=priors,
    )


# ---- interventions ---------------------------------------------------------------------------


def reweighed(distribution: SubgroupGaussians) -> SubgroupGaussians:
    """Make label and group independent; the features given both are unchanged."""
    return replace(distribution, priors=ideal_priors(distribution.priors, "independent"))


def mean_matched(distribution: SubgroupGaussians) -> SubgroupGaussians:
    """Set every subgroup mean to the reference group's mean for the same label."""
    return replace(
        distribution, means=np.broadcast_to(distribution.means[:, :1], distribution.means.shape)
    )


def moments_matched(distribution: SubgroupGaussians) -> SubgroupGaussians:
    """Set every group's marginal mean and covariance to the reference group's.

    One optimal-transport map a group, applied to all its labels alike.
    """
    weights = distribution.priors / distribution.priors.sum(axis=0)
    means = np.einsum("ia,iaj->aj", weights, distribution.means)
    shifts = distribution.means - means
    covariances = np.einsum("ia,iajk->ajk", weights, distribution.covariances)
    covariances = covariances + np.einsum("ia,iaj,iak->ajk", weights, shifts, shifts)
    maps = transport_map(means, covariances, means[:1], covariances[:1])
    moved_means, moved_covariances = maps.pushforward(distribution.means, distribution.covariances)
    return replace(distribution, means=moved_means, covariances=moved_covariances)


def steered(
    distribution: SubgroupGaussians, intervention: str, conditions: str
) -> SubgroupGaussians:
    """Return the nearest ideal distribution with independent priors; group a is the reference."""
    result = nearest_ideal(
        distribution,
        intervention=intervention,
        conditions=conditions,
        priors="independent",
        reference_group="a",
    )
    return result.target


def blurred(distribution: SubgroupGaussians) -> SubgroupGaussians:
    """Return the distribution after the label-free channel; group a is the reference."""
    channel = gaussian_channel(distribution, "a")
    means, covariances = channel.push(distribution.means, distribution.covariances)
    return replace(distribution, means=means, covariances=covariances)


def intervened_distributions(distribution: SubgroupGaussians) -> dict[str, SubgroupGaussians]:
    """Return the distribution after every intervention, by the keys of ``NAMES``."""
    fair = reweighed(distribution)
    return {
        "unmitigated": distribution,
        "reweighing": fair,
        "mean_matching": mean_matched(distribution),
        "mean_matching_reweighed": mean_matched(fair),
        "mimic": moments_matched(distribution),
        "mimic_reweighed": moments_matched(fair),
        "label_matching_reweighed": steered(distribution, "affirmative", "identical"),
        "channel_reweighed": blurred(fair),
        "affirmative_whitened": steered(distribution, "affirmative", "whitened"),
        "affirmative_affine": steered(distribution, "affirmative", "affine"),
        "all_subgroups_whitened": steered(distribution, "all_subgroups", "whitened"),
        "all_subgroups_affine": steered(distribution, "all_subgroups", "affine"),
    }


# ---- measures --------------------------------------------------------------------------------


def divergence(distribution: SubgroupGaussians, data: SubgroupGaussians) -> float:
    """Return ``KL(distribution || data)`` of label, group and features, in nats."""
    cells = gaussian_kl(distribution.means, distribution.covariances, data.means, data.covariances)
    return mixture_kl(distribution.priors, data.priors, cells)


def error_on_data(
    distribution: SubgroupGaussians, data: SubgroupGaussians, n_samples: int, random_state: int
) -> float:
    """Return the error on ``data`` of the Bayes-optimal group-aware classifier of ``law``.

    The same number of draws from every subgroup of ``data``; in one dimension its quantiles.
    """
    rng = np.random.default_rng(random_state)
    draws = n_samples // data.priors.size
    hit = 0.0
    for i, a in np.ndindex(data.priors.shape):
        if data.n_features == 1:
            normal = special.ndtri((np.arange(draws) + 0.5) / draws)[:, None]
        else:
            normal = rng.standard_normal((draws, data.n_features))
        X = data.means[i, a] + normal @ np.linalg.cholesky(data.covariances[i, a]).T
        scores = subgroup_log_densities(distribution, X, a) + np.log(distribution.priors[:, a])
        hit += data.priors[i, a] * np.mean(scores.argmax(axis=1) == i)
    return 1.0 - float(hit)


def measure(
    distribution: SubgroupGaussians, data: SubgroupGaussians, n_samples: int, random_state: int
) -> dict[str, float]:
    """Return the measured columns of one row."""
    metrics = bayes_metrics(distribution, n_samples=n_samples, random_state=random_state)
    return {
        "kl": divergence(distribution, data),
        **{name: getattr(metrics, name) for name in MEASURES},
        **{f"{name}_se": metrics.standard_error[name] for name in MEASURES},
        "ideal_gap": ideal_gap(distribution),
        "prior_gap": prior_gap(distribution),
        "error_on_data": error_on_data(distribution, data, n_samples, random_state),
    }


def study(plan: Plan, seed: int = 0, n_jobs: int = 1) -> pd.DataFrame:
    """Measure every intervention on every distribution; columns as in the module docstring."""
    distributions = _distributions(plan, seed)
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_rows)(plan.n_samples, *distribution) for distribution in distributions
    )
    return pd.DataFrame([row for part in parts for row in part])


def _rows(
    n_samples: int, name: str, seed: int, separation: float, data: SubgroupGaussians
) -> list[dict[str, object]]:
    key = {"law": name, "seed": seed, "separation": separation}
    return [
        {**key, "intervention": intervention, **measure(distribution, data, n_samples, seed)}
        for intervention, distribution in intervened_distributions(data).items()
    ]


def _distributions(plan: Plan, seed: int) -> Iterator[tuple[str, int, float, SubgroupGaussians]]:
    for t in plan.univariate:
        yield "univariate", 0, t, univariate_distribution(t)
    for draw in range(seed, seed + plan.n_seeds):
        for t in plan.multivariate:
            yield "multivariate", draw, t, multivariate_distribution(t, draw, plan.n_groups)


# ---- table -----------------------------------------------------------------------------------


COLUMNS = {
    "kl": "KL (nats)",
    "demographic_parity": "demographic parity",
    "equal_opportunity": "equal opportunity",
    "equalized_odds": "equalized odds",
    "error": "Bayes error",
    "error_on_data": "error on data",
    "ideal_gap": "ideal gap",
    "prior_gap": "prior gap",
}


def markdown_tables(results: pd.DataFrame, separation: float = TABLE_SEPARATION) -> str:
    """Return a table per distribution at a separation, mean ± standard deviation over seeds."""
    return "\n\n".join(
        _markdown_table(
            distribution,
            results[(results.law == distribution) & (results.separation == separation)],
        )
        for distribution in results.law.unique()
    )


def _markdown_table(distribution: str, results: pd.DataFrame) -> str:
    lines = [
        f"| {distribution}, separation {results.separation.iloc[0]:g} | "
        + " | ".join(COLUMNS.values()),
        "|---" + "|---:" * len(COLUMNS),
    ]
    for intervention, name in NAMES.items():
        rows = results[results.intervention == intervention]
        lines.append(f"| {name} | " + " | ".join(_entry(rows, column) for column in COLUMNS))
    return "\n".join(f"{line} |" if line.startswith("| ") else f"{line}|" for line in lines)


def _entry(rows: pd.DataFrame, column: str) -> str:
    """Format a column over seeds: 0 where it is exact, ° where a gap may be sampling noise."""
    values = rows[column]
    if values.abs().max() < EXACT_ZERO:
        return "0"
    text = f"{values.mean():.4f}" if len(values) == 1 else f"{values.mean():.3f}"
    if len(values) > 1:
        text += f" ± {values.std():.3f}"
    within_noise = column in GAPS and (values <= NOISE * rows[f"{column}_se"]).all()
    return text + " °" if within_noise else text


def page_parts(folder: Path) -> dict[str, str]:
    """Return the generated part of docs/synthetic.md."""
    return {"synthetic": markdown_tables(pd.read_csv(folder / "synthetic.csv"))}


# ---- figure ----------------------------------------------------------------------------------

# Okabe-Ito colors (gray for yellow); markers and dashes distinguish the lines without color.
# Hollow, large markers come before small ones, so that lines which coincide remain visible.
STYLES = {
    "unmitigated": ("#000000", "o", 5, (0, (1, 1.5))),
    "reweighing": ("#E69F00", "s", 9, (0, (5, 2))),
    "mean_matching_reweighed": ("#D55E00", "v", 6, (0, (5, 1.5, 1, 1.5))),
    "mimic_reweighed": ("#CC79A7", "x", 6, (0, (2, 2))),
    "affirmative_whitened": ("#56B4E9", "D", 8, (0, (3, 1, 1, 1, 1, 1))),
    "affirmative_affine": ("#0072B2", "^", 5, "solid"),
    "all_subgroups_whitened": ("#999999", "P", 10, (0, (6, 3))),
    "all_subgroups_affine": ("#009E73", "*", 6, "solid"),
}
HOLLOW = "osDP"
DODGE = 0.025  # horizontal step between interventions where bars would cover each other
PANELS = {
    "demographic_parity": "demographic-parity gap\n(probability)",
    "equalized_odds": "equalized-odds gap\n(probability)",
    "kl": "KL(intervened || data)\n(nats)",
    "error": "Bayes error on the\nintervened distribution (probability)",
}
TITLES = {
    "univariate": "univariate (1 feature)",
    "multivariate": "multivariate (5 features)",
}


def draw_figure(results: pd.DataFrame) -> Figure:
    """Draw measures over the separation: a row per measure, a column per distribution.

    Bars are standard deviations over the random distributions, shifted sideways to keep them apart.
    """
    figure = Figure(figsize=(9.5, 12.0), layout="constrained")
    axes = figure.subplots(len(PANELS), len(TITLES), sharex="col")
    for column, (distribution, title) in enumerate(TITLES.items()):
        for row, (measured, label) in enumerate(PANELS.items()):
            ax = axes[row, column]
            _draw_panel(ax, results[results.law == distribution], measured)
            if column == 0:
                ax.set_ylabel(label)
        axes[0, column].set_title(title, fontsize=11)
        axes[-1, column].set_xlabel("separation of the groups (standard deviations)")
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=4.5)
    return figure


def _draw_panel(ax: Axes, results: pd.DataFrame, measured: str) -> None:
    several = results.seed.nunique() > 1
    for k, (intervention, (color, marker, size, dashes)) in enumerate(STYLES.items()):
        rows = results[results.intervention == intervention]
        over_seeds = rows.groupby("separation")[measured]
        mean = over_seeds.mean()
        shift = DODGE * (k - (len(STYLES) - 1) / 2) if several else 0.0
        ax.errorbar(
            mean.index + shift,
            mean,
            yerr=over_seeds.std() if several else None,
            color=color,
            marker=marker,
            markersize=size,
            markerfacecolor="none" if marker in HOLLOW else color,
            linestyle=dashes,
            linewidth=1.3,
            elinewidth=0.8,
            capsize=1.5,
            label=NAMES[intervention],
        )
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)


# ---- command line ----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write csv and png, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the csv")
    parser.add_argument("--figures", type=Path, default=DOCS / "figures", help="folder of the png")
    parser.add_argument("--quick", action="store_true", help="a smaller study, in seconds")
    parser.add_argument(
        "--seed", type=int, default=0, help="first seed of the random distributions"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes of the full study")
    options = parser.parse_args(arguments)

    name = "synthetic-quick" if options.quick else "synthetic"
    if options.quick:
        results = study(QUICK, options.seed)
    else:
        results = study(FULL, options.seed, options.jobs)
    for folder in (options.output, options.figures):
        folder.mkdir(parents=True, exist_ok=True)
    table = options.output / f"{name}.csv"
    results.to_csv(table, index=False, float_format="%.6g")
    draw_figure(results).savefig(options.figures / f"{name}.png", dpi=130)
    print(markdown_tables(pd.read_csv(table)))
    if options.output == RESULTS and not options.quick:
        rewrite("synthetic.md")


if __name__ == "__main__":
    main()
