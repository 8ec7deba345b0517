"""Fairness metrics of predictions, and scorers for model selection."""

from fairsteer.metrics._by_label import rms_tpr_gap, rms_tpr_gap_floor, tpr_by_label
from fairsteer.metrics._gaps import fairness_gaps, noise_floor
from fairsteer.metrics._impact import impact_ratios
from fairsteer.metrics._refit import most_accurate_within
from fairsteer.metrics._report import fairness_report, leveling_down
from fairsteer.metrics._scorer import FairnessScorer, make_fairness_scorer

__all__ = [
    "FairnessScorer",
    "fairness_gaps",
    "fairness_report",
    "impact_ratios",
    "leveling_down",
    "make_fairness_scorer",
    "most_accurate_within",
    "noise_floor",
    "rms_tpr_gap",
    "rms_tpr_gap_floor",
    "tpr_by_label",
]
