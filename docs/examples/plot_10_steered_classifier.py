"""
One classifier for all tools
============================

``SteeredClassifier`` joins steering, training weights and a classifier. The weights, which make
label and group independent in training, cannot be handed through a pipeline; and what calibrates,
votes, stacks or permutes wants one classifier anyway.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from fairsteer import OptimalSteeringTransformer, SteeredClassifier
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics import fairness_gaps

sample = make_gaussian_subgroups(4000, n_groups=3, n_features=5, random_state=11)
X, y, group = sample.data, sample.target, sample.sensitive_features
train, test = np.arange(len(X)) < 2000, np.arange(len(X)) >= 2000

# %%
# The law was picked as one with a large gap. The attribute may stand in a column, as here, or be
# passed as ``sensitive_features=`` to every method. ``training="ideal"`` fits the classifier on the
# ideal law itself, where rows are moved by their labels; new rows, whose label is unknown, are then
# moved as always.

fair = OptimalSteeringTransformer("group", priors="independent")
untouched = OptimalSteeringTransformer("group", strength=0)
models = {
    "unmitigated": SteeredClassifier(LogisticRegression(), untouched),
    "steered": SteeredClassifier(LogisticRegression(), fair),
    "trained in the ideal": SteeredClassifier(LogisticRegression(), fair, training="ideal"),
    "steered, calibrated": CalibratedClassifierCV(
        SteeredClassifier(LogisticRegression(), fair), cv=3
    ),
}
rows = {}
for name, model in models.items():
    predicted = model.fit(X[train], y[train]).predict(X[test])
    rows[name] = {
        "accuracy": accuracy_score(y[test], predicted),
        **fairness_gaps(y[test], predicted, sensitive_features=group[test]),
    }
pd.DataFrame(rows).T.round(3)

# %%
# Settings of both parts are reached by their names.

models["steered"].set_params(steering__strength=0.5, estimator__C=0.1).fit(X[train], y[train])
print(f"accuracy at half the strength: {models['steered'].score(X[test], y[test]):.3f}")
models["steered"].set_params(steering__strength=1, estimator__C=1).fit(X[train], y[train])

# %%
# Permuting a column of held-out rows shows what the model lives on. The classifier does not see the
# group; the map that a row gets depends on it, so permuting the groups counts as well.

importance = permutation_importance(
    models["steered"], X[test], y[test], n_repeats=5, random_state=0
)
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.barh(X.columns, importance.importances_mean, xerr=importance.importances_std, color="#0072B2")
ax.invert_yaxis()
ax.set_xlabel("accuracy lost when the column is permuted")
