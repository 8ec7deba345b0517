"""
One classifier for all tools
============================

``SteeredClassifier`` combines steering, training weights and a classifier. The weights make label
and group independent in training; a pipeline cannot pass them on. Tools that calibrate, vote,
stack or permute take the combination as one classifier.
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
# The distribution was chosen to have a large gap. The attribute may be a column, as here, or be
# passed as ``sensitive_features=`` to every method. ``training="ideal"`` fits the classifier on
# the ideal distribution, on rows that are moved by their labels; new rows, whose label is unknown,
# are moved without it.

fair = OptimalSteeringTransformer("group", priors="independent")
unmitigated = OptimalSteeringTransformer("group", strength=0)
models = {
    "unmitigated": SteeredClassifier(LogisticRegression(), unmitigated),
    "steered": SteeredClassifier(LogisticRegression(), fair),
    "trained on the ideal": SteeredClassifier(LogisticRegression(), fair, training="ideal"),
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
# Parameters of both parts are set by their names.

models["steered"].set_params(steering__strength=0.5, estimator__C=0.1).fit(X[train], y[train])
print(f"accuracy at half the strength: {models['steered'].score(X[test], y[test]):.3f}")
models["steered"].set_params(steering__strength=1, estimator__C=1).fit(X[train], y[train])

# %%
# Permutation importance shows which columns the model depends on. The classifier does not see the
# group, but the map of a row depends on it, so the column ``group`` can have an importance, too.

importance = permutation_importance(
    models["steered"], X[test], y[test], n_repeats=5, random_state=0
)
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.barh(X.columns, importance.importances_mean, xerr=importance.importances_std, color="#0072B2")
ax.invert_yaxis()
ax.set_xlabel("accuracy lost when the column is permuted")
