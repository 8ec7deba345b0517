"""
Many labels: professions from embeddings
========================================

The data have 28 professions, two genders, and rows that resemble embeddings of biographies. A
linear model recognizes a profession less often for the gender that is rare in it. With many labels
and small subgroups, it is better to steer a few scores than all features.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_bios_like
from fairsteer.metrics import rms_tpr_gap, rms_tpr_gap_floor, tpr_by_label

sample = make_bios_like(40_000, 100, random_state=0)
X, y, gender = sample.data, sample.target, sample.sensitive_features
train, test = np.arange(len(X)) < 20_000, np.arange(len(X)) >= 20_000

# %%
# Linear discriminants give 27 scores that separate the professions. The distribution of a subgroup
# of ten rows is estimated with less noise there than in a hundred dimensions.

reduce = make_pipeline(PCA(60, random_state=0), LinearDiscriminantAnalysis())
scores = pd.DataFrame(reduce.fit(X[train], y[train]).transform(X))

# %%
# A first fit gives weights that make label and gender independent. With these weights, the
# posterior of the unknown label does not favor nurse over surgeon because a person is a woman. The
# transformer averages over the unknown label, so a gap remains; a second transformer steers what
# remains.

options = {"conditions": "identical", "intervention": "all_subgroups", "covariance_type": "tied"}
steering = OptimalSteeringTransformer(priors="independent", random_state=0, **options)
given = {"sensitive_features": gender[train]}
weights = steering.fit(scores[train], y[train], **given).ideal_sample_weight(
    scores[train], y[train], **given
)
steered = scores
for _ in range(2):
    steering.fit(steered[train], y[train], sample_weight=weights, **given)
    steered = pd.DataFrame(steering.transform(steered, sensitive_features=gender))

# %%
# The root mean square of the professions' gaps and its noise floor, which is large because some
# subgroups have few rows, for example women who are rappers.

rows, rates = {}, {}
for name, features in (("scores", scores), ("steered", steered)):
    model = LogisticRegression(max_iter=500).fit(features[train], y[train])
    predicted = model.predict(features[test])
    women = {"sensitive_features": gender[test]}
    rows[name] = {
        "accuracy": accuracy_score(y[test], predicted),
        "rms_tpr_gap": rms_tpr_gap(y[test], predicted, **women),
        "floor": rms_tpr_gap_floor(y[test], predicted, **women),
    }
    rates[name] = tpr_by_label(y[test], predicted, **women)
pd.DataFrame(rows).T.round(3)

# %%
# Before steering, women are recognized less often in professions with few women.

fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
for ax, (name, rate) in zip(axes, rates.items(), strict=True):
    ax.axhline(0, color="0.6", linewidth=1)
    ax.scatter(sample.female_shares[rate.index], rate["female"] - rate["male"], color="#0072B2")
    ax.set(title=name, xlabel="share of women")
axes[0].set_ylabel("true positive rate, women less men")

# %%
# ``python benchmarks/bios.py`` compares this with other methods on 60,000 rows of 768 dimensions.
