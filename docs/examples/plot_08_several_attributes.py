"""
Several attributes and small groups
===================================

Several sensitive columns mean their intersection: one group for each combination of values. Some
combinations are rare, and a distribution cannot be estimated from a few rows. ``small_groups``
says how ``fit`` treats them.
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
# By default a subgroup that is too small raises an error that names it:

attributes = ["sex", "age_class"]
try:
    OptimalSteeringTransformer(attributes).fit(X, y)
except ValueError as error:
    print(error)

# %%
# ``"pooled"`` merges the groups with such a subgroup and issues a warning.
# ``handle_unknown="pooled"`` accepts combinations that were not seen in training. A covariance
# that the labels of a group share needs fewer rows.

steering = OptimalSteeringTransformer(
    attributes, small_groups="pooled", handle_unknown="pooled", covariance_type="tied"
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", SteeringWarning)
    steering.fit(X, y)
for warning in caught:
    print(warning.message)
print("without a distribution of their own:", steering.pooled_groups_)

# %%
# A row of a combination that was not seen in training is moved as a row of unknown group:

stranger = X.head(1).assign(sex=2, age_class="unknown")
print(steering.transform(stranger).shape)

# %%
# The pipeline is the same as for one attribute. Predictions are for held-out rows. The report
# takes both columns. Rates of groups with few rows are unreliable, so check the column ``rows``
# first.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SteeringWarning)
    model = make_pipeline(steering, LogisticRegression(max_iter=1000))
    predicted = cross_val_predict(model, X, y)
large = (X["age_class"] != "76+").to_numpy()
report = fairness_report(y[large], predicted[large], sensitive_features=X.loc[large, attributes])
report.round(3)

# %%
# The selection rates of the groups, with their standard errors.

groups = report.iloc[:-1]
rate, rows = groups["selection_rate"], groups["rows"]
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
heights = np.arange(len(groups))[::-1]
ax.errorbar(rate, heights, xerr=np.sqrt(rate * (1 - rate) / rows), fmt="o", color="#0072B2")
ax.set_yticks(heights, [f"sex {sex}, age {age}, {n} rows" for (sex, age), n in rows.items()])
ax.set_xlabel("selection rate")
