"""
The nearest ideal law
=====================

Below the transformer stands a function of Gaussian parameters: ``nearest_ideal`` finds the nearest
law, in Kullback-Leibler divergence, on which the Bayes-optimal classifier treats groups alike. It
needs no rows.
"""

from dataclasses import asdict

import pandas as pd

from fairsteer import OptimalSteeringTransformer, bayes_metrics, ideal_gap, nearest_ideal
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.plotting import plot_ellipses

sample = make_gaussian_subgroups(3000, n_groups=3, random_state=5)
law = sample.gaussians

# %%
# How far is the law from ideal, and what does the best classifier that knows the group do on it?
# With ``priors="independent"`` label and group are made independent as well, which closes the
# demographic parity gap.

targets = {"the law": law}
divergences = {"the law": 0.0}
for intervention in ("affirmative", "all_subgroups"):
    for conditions in ("affine", "identical"):
        result = nearest_ideal(
            law, intervention=intervention, conditions=conditions, priors="independent"
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
# Rates are Monte Carlo in two dimensions, so a gap is never exactly 0 here; ``bayes_metrics``
# returns the standard errors as well.
#
# The transformer fits such a law to rows. Outlines: groups and labels as fitted; filled: the ideal
# law, which all groups share in the reference group's frame.

steering = OptimalSteeringTransformer("group").fit(sample.data, sample.target)
plot_ellipses(steering)
