"""What can be told of a fairness metric from outside: its name, arguments, sign and labels."""

from __future__ import annotations

import warnings
from functools import partial
from inspect import Parameter, signature

_LABELS_NEEDED = {
    **dict.fromkeys(("count", "selection_rate", "mean_prediction"), ()),
    **dict.fromkeys(("demographic_parity_difference", "demographic_parity_ratio"), ()),
    **dict.fromkeys(("accuracy_score", "zero_one_loss", "log_loss", "brier_score_loss"), ()),
    **dict.fromkeys(("mean_absolute_error", "mean_squared_error"), ()),
    **dict.fromkeys(("true_positive_rate", "false_negative_rate", "recall_score"), (1,)),
    **dict.fromkeys(("equal_opportunity_difference", "equal_opportunity_ratio"), (1,)),
    **dict.fromkeys(("true_negative_rate", "false_positive_rate"), (0,)),
}


def labels_needed(metric) -> tuple[int, ...]:
    """Return the labels (1 = positive) of which every group must have rows.

    Both for a metric of groups that is not known here.
    """
    if not takes_groups(metric):
        return ()
    return _LABELS_NEEDED.get(getattr(_base(metric), "__name__", None), (1, 0))


def takes(function, name) -> bool:
    """Tell whether a function has an argument of this name."""
    return name in signature(function).parameters


def takes_weights(metric) -> bool:
    """Tell whether a metric takes ``sample_weight``, itself or by the one it is derived from."""
    if takes(metric, "sample_weight"):
        return True
    return _takes_any(metric) and takes(_base(metric), "sample_weight")


def takes_groups(metric) -> bool:
    """Tell whether a metric takes ``sensitive_features``."""
    return takes(metric, "sensitive_features") or _takes_any(metric)


def warn_of_sign(metric, greater_is_better, stacklevel) -> None:
    """Warn where a search would choose the worst candidate, as far as the metric's name tells."""
    name = metric_name(metric)
    kind = name.split("(")[0].rpartition("_")[2]
    if kind in ("ratio", "score") and not greater_is_better:
        text = f"{name} is best large, but a search would make it small: pass greater_is_better="
    elif kind in ("difference", "error", "loss") and greater_is_better:
        text = f"{name} is best small, but a search would make it large: use greater_is_better="
    else:
        return
    warnings.warn(f"{text}{not greater_is_better}.", stacklevel=stacklevel + 1)


def metric_name(metric) -> str:
    """Name a metric as it would be written."""
    if isinstance(metric, partial):
        arguments = [f"{name}={value!r}" for name, value in metric.keywords.items()]
        return f"{metric_name(metric.func)}({', '.join(arguments)})"
    if hasattr(metric, "_metric_fn"):
        return f"{metric_name(metric._metric_fn)}_{metric._transform}"
    return getattr(metric, "__name__", None) or repr(metric)


def _takes_any(function) -> bool:
    kinds = [parameter.kind for parameter in signature(function).parameters.values()]
    return Parameter.VAR_KEYWORD in kinds


def _base(metric):
    """Return what a partial, or a derived metric of fairlearn, is made of."""
    inner = metric.func if isinstance(metric, partial) else getattr(metric, "_metric_fn", None)
    return metric if inner is None else _base(inner)
