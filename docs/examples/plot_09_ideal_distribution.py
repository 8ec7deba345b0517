"""
The nearest ideal distribution
==============================

The transformer uses a function of Gaussian parameters: ``nearest_ideal`` finds the nearest
distribution, in Kullback-Leibler divergence, on which the Bayes-optimal classifier has no fairness
gap. It needs no rows.
"""

from dataclasses import asdict

import pandas as pd

from fairsteer import OptimalSteeringTransformer, bayes_metrics, ideal_gap, nearest_ideal
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.plotting import plot_ellipses

sample = make_gaussian_subgroups(3000, n_groups=3, random_state=5)
gaussians = sample.gaussians

# %%
# ``ideal_gap`` measures how far a distribution is from ideal; ``bayes_metrics`` returns error and
# gaps of the best classifier that knows the group. With ``priors="independent"`` label and group
# become independent, too, which closes the demographic parity gap.

targets = {"unmitigated": gaussians}
divergences = {"unmitigated": 0.0}
for intervention in ("affirmative", "all_subgroups"):
    for conditions in ("affine", "identical"):
        result = nearest_ideal(
            gaussians, intervention=intervention, conditions=conditions, priors="independent"
        )
        name = f"{intervention}, {conditions}"
        targets[name], divergences[name] = result.target, result.kl_divergence

pd.DataFrame(
    {
        name: {
            "KL (nats)": divergences[name],
            "ideal gap": ideal_gap(target),
            **{
                key: value
                for key, value in asdict(bayes_metrics(target, n_samples=50_000)).items()
                if key != "standard_error"
            },
        }
        for name, target in targets.items()
    }
).T.round(3)

# %%
# In two dimensions rates are Monte Carlo estimates, so a gap is never exactly 0; ``bayes_metrics``
# also returns the standard errors.
#
# The transformer does this for distributions fitted to rows. Outlines are the fitted subgroups;
# filled is the ideal distribution, which all groups share in the reference group's frame.

steering = OptimalSteeringTransformer("group").fit(sample.data, sample.target)
plot_ellipses(steering)
