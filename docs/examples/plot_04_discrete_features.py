"""
Counts, steps, and trees
========================

On discrete features an affine map moves each group onto a grid of its own, from which a tree
ensemble recognizes the group. ``family="copula"`` steers ranks instead and returns values that
occur in the table.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.audit import audit_steering
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics import fairness_gaps
from fairsteer.plotting import plot_densities

sample = make_gaussian_subgroups(2000, n_features=3, random_state=4)
X = sample.data.assign(**{f"x{j}": (2 * sample.data[f"x{j}"]).round() for j in range(3)})
y = sample.target
train, test = np.arange(len(X)) < 1000, np.arange(len(X)) >= 1000

# %%
# The normal family warns, with two figures: how well a boosted classifier recovers the group before
# and after steering.

normal = OptimalSteeringTransformer("group", family="normal", random_state=0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", SteeringWarning)
    normal.fit(X[train], y[train])
print(caught[0].message)

# %%
# The copula, which the default ``family="auto"`` chooses here, does not. A fixed ``random_state``
# fixes the draws that spread equal values.

copula = OptimalSteeringTransformer("group", family="copula", random_state=0)
copula.fit(X[train], y[train])

# %%
# The audit measures how well a boosted classifier recovers the group on rows held out of ``fit``.
# An AUC of 0.5 is chance.

for name, steering in {"normal": normal, "copula": copula}.items():
    audit = audit_steering(steering, X[test], y[test], cv=3)
    auc = audit.leakage["auc"].unstack("label")
    print(name, auc.xs("boosted", level="classifier").round(3), sep="\n", end="\n\n")

# %%
# A model that can recognize the group need not have a gap. The gaps of boosting on held-out rows:

unmitigated = OptimalSteeringTransformer("group", family="copula", strength=0, random_state=0)
unmitigated.fit(X[train], y[train])
found = {}
for name, steering in {"unmitigated": unmitigated, "normal": normal, "copula": copula}.items():
    boosting = HistGradientBoostingClassifier(max_iter=40, random_state=0)
    boosting.fit(steering.transform(X[train]), y[train])
    predicted = boosting.predict(steering.transform(X[test]))
    found[name] = fairness_gaps(y[test], predicted, sensitive_features=X["group"][test])
pd.DataFrame(found).T.round(3)

# %%
# The steered values, as shares of each group. All of them occur in the table.

plot_densities(copula, X[test])
