"""error-parity on scores, in an environment of its own (it needs NumPy 1): files in, files out.

    python error_parity_worker.py scores.npz settings.json decisions.npz

Does not import fairsteer. ``scores.npz`` has ``scores, y, codes`` of the training rows and
``held_out, held_out_codes``; the settings are pairs of a constraint and a tolerance.
"""

import json
import sys

import numpy as np
from clock import timed
from error_parity import RelaxedThresholdOptimizer


def fitted(given, constraint, tolerance, seed):
    """Fit one setting."""
    # Inside a ROC curve error-parity draws from NumPy's global generator, whatever its seed.
    np.random.seed(seed)  # noqa: NPY002
    optimizer = RelaxedThresholdOptimizer(
        predictor=lambda scores: scores, constraint=constraint, tolerance=tolerance, seed=seed
    )
    optimizer.fit(given["scores"], given["y"], group=given["codes"], y_scores=given["scores"])
    return optimizer


def main(scores_file, settings_file, decisions_file):
    """Fit every setting and write its decisions and seconds."""
    given = np.load(scores_file)
    with open(settings_file) as file:
        request = json.load(file)
    decisions, seconds = [], []
    for constraint, tolerance in request["settings"]:
        optimizer, taken = timed(fitted, given, constraint, tolerance, request["seed"])
        seconds.append(taken)
        decisions.append(optimizer.predict(given["held_out"], group=given["held_out_codes"]))
    np.savez(decisions_file, decisions=np.array(decisions, dtype=np.int8), seconds=seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
