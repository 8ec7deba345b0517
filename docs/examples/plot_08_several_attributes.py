"""
Several attributes and small cells
==================================

Several sensitive columns mean their intersection: one group for each combination of values. Some
combinations are rare, and a law cannot be estimated from a handful of rows. ``small_groups`` says
what happens then.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.datasets import load_diabetes_progression
from fairsteer.metrics import fairness_report

diabetes = load_diabetes_progression()
ages = pd.cut(diabetes.data["age"], [0, 30, 60, 75, 120], labels=["-30", "-60", "-75", "76+"])
X = diabetes.data.drop(columns="age").assign(age_class=ages.astype(str))
y = diabetes.target
pd.crosstab([X["sex"], X["age_class"]], y)

# %%
# By default a cell that is too small is an error that names it:

attributes = ["sex", "age_class"]
try:
    OptimalSteeringTransformer(attributes).fit(X, y)
except ValueError as error:
    print(error)

# %%
# ``"pooled"`` merges the groups with such a cell, and says so. ``handle_unknown="pooled"`` does
# the like for combinations that turn up after training. A covariance shared by the labels of a
# group asks less of small groups.

steering = OptimalSteeringTransformer(
    attributes, small_groups="pooled", handle_unknown="pooled", covariance_type="tied"
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", SteeringWarning)
    steering.fit(X, y)
for warning in caught:
    print(warning.message)
print("without a law of their own:", steering.pooled_groups_)

# %%
# A row of a combination that was never seen is moved as a row of the population:

stranger = X.head(1).assign(sex=2, age_class="unknown")
print(steering.transform(stranger).shape)

# %%
# In a pipeline nothing else changes. Predictions are of held-out rows. The report takes both
# columns; groups of a few rows have rates that mean little, so look at the column ``rows`` first.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SteeringWarning)
    model = make_pipeline(steering, LogisticRegression(max_iter=1000))
    predicted = cross_val_predict(model, X, y)
large = (X["age_class"] != "76+").to_numpy()
report = fairness_report(y[large], predicted[large], sensitive_features=X.loc[large, attributes])
report.round(3)

# %%
# The selection rates of the groups, with the standard error that their size leaves.

groups = report.iloc[:-1]
rate, rows = groups["selection_rate"], groups["rows"]
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
heights = np.arange(len(groups))[::-1]
ax.errorbar(rate, heights, xerr=np.sqrt(rate * (1 - rate) / rows), fmt="o", color="#0072B2")
ax.set_yticks(heights, [f"sex {sex}, age {age}, {n} rows" for (sex, age), n in rows.items()])
ax.set_xlabel("selection rate")
