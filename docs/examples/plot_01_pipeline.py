"""
Steering in a pipeline
======================

The sensitive attribute is a column of ``X``, and the transformer comes before the classifier. The
transformer moves the rows of one group so that, given the label, their distribution is close to
that of the other group. It drops the sensitive column, so the classifier does not see it.
"""

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import load_diabetes_progression
from fairsteer.metrics import fairness_report, noise_floor
from fairsteer.plotting import plot_densities

diabetes = load_diabetes_progression()
X, y = diabetes.data, diabetes.target
print(diabetes.conventions)

# %%
# Two pipelines differ in the strength only: with ``strength=0`` the transformer drops the column
# and moves no row. Predictions are for rows held out by cross-validation.

steering = OptimalSteeringTransformer("sex")
fair = make_pipeline(steering, LogisticRegression(max_iter=1000))
plain = make_pipeline(
    OptimalSteeringTransformer("sex", strength=0), LogisticRegression(max_iter=1000)
)
before = cross_val_predict(plain, X, y)
after = cross_val_predict(fair, X, y)

# %%
# The report has a row for each group. The row ``gap`` holds the largest difference between groups:
# of the selection rate (demographic parity), of the true positive rate (equal opportunity), of the
# false positive rate (the larger of these two: equalized odds), and of accuracy.

report = fairness_report(y, after, sensitive_features=X["sex"], y_pred_before=before)
report.round(3)

# %%
# A perfectly fair classifier also shows a gap on finitely many rows. A gap below this noise floor
# is not evidence of unfairness:

print(pd.Series(noise_floor(y, after, sensitive_features=X["sex"])).round(3).to_string())

# %%
# The features that change most, before and after steering. By default the reference group does not
# move.

steering.fit(X, y)
print(f"group {steering.reference_group_} does not move")
plot_densities(steering, X, n_features=3)
