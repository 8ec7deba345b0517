"""
Did steering work? The audit
============================

``audit_steering`` trains a linear and a boosted classifier to recover the group from held-out rows,
before and after steering, overall and within each label. An estimator of the same kind cannot use
what its classifier does not recover.
"""

import matplotlib.pyplot as plt
import numpy as np

from fairsteer import OptimalSteeringTransformer
from fairsteer.audit import audit_steering
from fairsteer.datasets import make_gaussian_subgroups

sample = make_gaussian_subgroups(1600, n_groups=3, n_features=4, random_state=3)
X, y = sample.data, sample.target
train, test = np.arange(len(X)) < 1000, np.arange(len(X)) >= 1000

steering = OptimalSteeringTransformer("group", random_state=0).fit(X[train], y[train])
audit = audit_steering(steering, X[test], y[test], cv=3)
for sentence in audit.advice:
    print("*", sentence)

# %%
# The numbers behind the advice are in DataFrames. An AUC of 0.5 is chance; ``z`` is the number of
# standard deviations by which it is exceeded.

audit.leakage[["auc", "z", "attack_advantage"]].round(3)

# %%
# Equalized odds compares the groups within each label. Over all labels the groups can still differ,
# because their shares of the labels differ and steering keeps these shares.

auc = audit.leakage["auc"].unstack("features")[["before", "after"]]
names = [f"{classifier}, {label}" for classifier, label in auc.index]
fig, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
heights = np.arange(len(auc))[::-1]
ax.hlines(heights, auc["after"], auc["before"], color="#bbbbbb")
ax.plot(auc["before"], heights, "s", color="#D55E00", label="before")
ax.plot(auc["after"], heights, "o", color="#0072B2", label="after")
ax.axvline(0.5, color="black", linewidth=0.8, linestyle="dotted")
ax.set_yticks(heights, names)
ax.set_xlabel("AUC of recovering the group (0.5 is chance)")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0))
