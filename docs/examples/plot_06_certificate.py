"""
A model-based certificate
=========================

``certificate_`` bounds the gap of *every* classifier that sees the transformed features only, if
the fitted Gaussian distribution is the true one, as here up to the error of estimation. For real
tables see :ref:`sphx_glr_gallery_plot_14_certify.py`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics import fairness_gaps

sample = make_gaussian_subgroups(6000, n_groups=3, n_features=3, random_state=2)
X, y = sample.data, sample.target
train, test = np.arange(len(X)) < 3000, np.arange(len(X)) >= 3000

steering = OptimalSteeringTransformer("group", constraint="equal_opportunity")
steering.fit(X[train], y[train])
print(steering.certificate_["equal_opportunity"])

# %%
# The bound decreases with the strength. The points are the gaps of three classifiers on held-out
# rows.

classifiers = {
    "logistic regression": LogisticRegression(),
    "quadratic discriminant": QuadraticDiscriminantAnalysis(),
    "boosting": HistGradientBoostingClassifier(max_iter=30, random_state=0),
}
strengths = np.linspace(0, 1, 6)
bounds, measured = [], {name: [] for name in classifiers}
for strength in strengths:
    steering.set_params(strength=strength).fit(X[train], y[train])
    bounds.append(steering.certificate_["equal_opportunity"].bound)
    for name, classifier in classifiers.items():
        classifier.fit(steering.transform(X[train]), y[train])
        predicted = classifier.predict(steering.transform(X[test]))
        found = fairness_gaps(y[test], predicted, sensitive_features=X["group"][test])
        measured[name].append(found["equal_opportunity"])

fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
ax.plot(strengths, bounds, color="black", label="certificate")
colors = ("#0072B2", "#D55E00", "#009E73")
for (name, values), color, marker in zip(measured.items(), colors, "osD", strict=True):
    ax.plot(strengths, values, marker, color=color, label=name)
ax.set_xlabel("strength")
ax.set_ylabel("equal opportunity gap (difference of rates)")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0))

# %%
# Under equalized odds the label of a new row is unknown and is averaged over. The certificate is
# then a Monte Carlo estimate, of kind ``"model estimate"``. The divergence of the ideal
# distribution from that of the data is in nats; the optimality is the norm of the gradient at which
# the solver stopped.

odds = OptimalSteeringTransformer("group", random_state=0).fit(X[train], y[train])
print(odds.certificate_["equalized_odds"])
print(f"{odds.result_.kl_divergence:.3f} nats, optimality {odds.result_.optimality:.0e}")
