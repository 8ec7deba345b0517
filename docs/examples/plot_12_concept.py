"""
A step towards a concept that works alike in all groups
=======================================================

Hidden states with and without a concept, in three groups whose concept points elsewhere and is of
another strength. A step along each group's own direction moves one group far and another hardly.
``ConceptSteering`` finds the nearest directions along which a step has the same effect.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from fairsteer import ConceptSteering

rng = np.random.default_rng(0)
n, d = 12_000, 32
names = np.array(["a", "b", "c"])
groups = rng.choice(names, size=n, p=[0.5, 0.3, 0.2])
joy = rng.integers(0, 2, size=n)
common, *own = np.linalg.qr(rng.normal(size=(d, 4))).Q.T
directions = {
    name: length * (common + 0.8 * aside)
    for name, length, aside in zip(names, [2.0, 1.4, 0.8], own, strict=True)
}
H = rng.normal(size=(n, d)) + joy[:, None] * np.array([directions[g] for g in groups])
train, test = np.arange(n) < n // 2, np.arange(n) >= n // 2

# %%
# Effects are in units of the probe's logit, for a step of length 1. The standard error is that of
# the effect along the group's own direction, the probe taken as given.

steering = ConceptSteering().fit(H[train], joy[train], sensitive_features=groups[train])
steering.effects().round(2)

# %%
# A probe that was trained on *other* states tells what a step does to them.

probe = LogisticRegression(max_iter=1000).fit(H[test], joy[test])
alphas = np.linspace(-1, 2, 7)
effects = {"own directions": {}, "equal effects": {}}
for k, name in enumerate(steering.groups_):
    states = H[test & (groups == name)]
    logit = probe.decision_function(states)
    vectors = {"own directions": steering.directions_[k], "equal effects": steering.vector(name)}
    for kind, vector in vectors.items():
        effects[kind][name] = [
            np.mean(probe.decision_function(states + alpha * vector) - logit) for alpha in alphas
        ]

fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
styles = zip(steering.groups_, ["#0072B2", "#D55E00", "#009E73"], ["-", "--", ":"], strict=True)
for name, colour, line in styles:
    for ax, (kind, found) in zip(axes, effects.items(), strict=True):
        ax.plot(alphas, found[name], color=colour, linestyle=line, label=name)
        ax.set(title=kind, xlabel="alpha")
axes[0].set_ylabel("mean change of the logit")
axes[0].legend(title="group")

# %%
# Where the group of a state is unknown it is inferred from the state; the effect on a probe that
# groups share stays the same.

inferred = steering.transform(H[test], alpha=1.0)
change = probe.decision_function(inferred) - probe.decision_function(H[test])
print({str(name): round(float(change[groups[test] == name].mean()), 2) for name in names})
