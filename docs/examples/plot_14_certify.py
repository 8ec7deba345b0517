"""
Bound the gap of a model
========================

``certify`` bounds a fairness gap on new rows, with a stated confidence and without any assumption
on their distribution. It needs rows that had no part in the model. Here 60% of the rows fit, 40%
certify.
"""

import matplotlib.pyplot as plt
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer, ScoreSteering
from fairsteer.certify import certify
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.estimators import TreeBins

sample = make_gaussian_subgroups(20_000, n_labels=2, n_groups=2, n_features=4, random_state=0)
X, y, group = sample.data, sample.target, sample.sensitive_features
fit, held = slice(0, 12_000), slice(12_000, 20_000)

# %%
# A Pipeline, in three lines: a steering, a classifier, and the certificate of its decisions.

pipeline = make_pipeline(OptimalSteeringTransformer("group", random_state=0), LogisticRegression())
pipeline.fit(X[fit], y[fit])
print(certify(pipeline, X[held], y[held]))

# %%
# A ``ThresholdOptimizer``, which draws its decisions.

optimizer = ThresholdOptimizer(
    estimator=LogisticRegression(), constraints="equalized_odds", predict_method="predict_proba"
)
features = X.drop(columns="group")
optimizer.fit(features[fit], y[fit], sensitive_features=group[fit])
print(certify(optimizer, features[held], y[held], sensitive_features=group[held], random_state=0))

# %%
# An array of predictions of 0 and 1, whatever made them.

predictions = LogisticRegression().fit(features[fit], y[fit]).predict(features[held])
print(certify(predictions, y=y[held], sensitive_features=group[held]))

# %%
# *Every* classifier can be certified where it sees a finite output: the bins of a steered score, or
# the leaves of a tree on steered features. The unsteered score shows what is gained.

certificates = {}
for name, strength in (("leaves, unsteered", 0.0), ("leaves, steered", 1.0)):
    steering = OptimalSteeringTransformer("group", strength=strength, random_state=0)
    leaves = make_pipeline(steering, TreeBins(8, random_state=0)).fit(X[fit], y[fit])
    certificates[name] = certify(leaves, X[held], y[held], random_state=0)
score = ScoreSteering(LogisticRegression(), "group", output="bins", n_bins=8, random_state=0)
score.fit(X[fit], y[fit])
certificates["score, steered"] = certify(score, X[held], y[held], random_state=0)
print(certificates["score, steered"])

# %%
# The bound is above the worst classifier of these rows. The attack was chosen on one half of them
# and measured on the other.

table = pd.DataFrame(
    {
        "bound (95%)": {name: found.bound for name, found in certificates.items()},
        "worst classifier": {name: found.measured for name, found in certificates.items()},
        "attack": {name: found.attacked for name, found in certificates.items()},
    }
)
print(table.round(3))
axes = table.plot.barh(color=["#000000", "#0072B2", "#D55E00"], figsize=(7.5, 3.2))
axes.set_xlabel("equalized odds gap (difference of rates)")
axes.legend(frameon=False)
plt.tight_layout()
plt.show()
