"""Hooks move hidden states as the NumPy transforms do, and are removed afterwards."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fairsteer import ConceptSteering, OptimalSteeringTransformer, WithinLabelEraser
from fairsteer.core.affine import AffineMap

REASON = "language models need the extra [llm]: pip install 'fairsteer[llm]'"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("transformers", reason=REASON)

from fairsteer.llm import (  # noqa: E402
    collect_hidden_states,
    steer_concept,
    steer_hidden_states,
)
from tests.llm.tiny_models import FAMILIES, HIDDEN, sentences, tiny_model, tiny_tokenizer  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
POOLINGS = ("last", "mean", "all")
LAYER = 1
N = 240
TEXTS = sentences(N)
GROUPS = np.random.default_rng(1).choice(["a", "b", "c"], size=N)
LABELS = np.random.default_rng(2).integers(0, 3, size=N)
FEW = slice(0, 24)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny_model(request.param)


@pytest.fixture(scope="module")
def llama():
    return tiny_model("llama")


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def rows(states):
    """Return states of a layer as a table, and the position of the text of each row."""
    if isinstance(states, list):
        return np.concatenate(states), np.repeat(np.arange(len(states)), [len(s) for s in states])
    return states, np.arange(len(states))


def collected(model, tokenizer, pooling="last", layer=LAYER, texts=TEXTS, **options):
    return rows(collect_hidden_states(model, tokenizer, texts, layer, pooling, **options))


def fitted(model, tokenizer, pooling="last", layer=LAYER, **parameters):
    X, of = collected(model, tokenizer, pooling, layer)
    parameters = {"shrinkage": 0.1, "random_state": 0, **parameters}
    steering = OptimalSteeringTransformer(**parameters)
    return steering.fit(X, LABELS[of], sensitive_features=GROUPS[of])


def steered(model, tokenizer, steering, pooling, groups=GROUPS[FEW], layer=LAYER, **options):
    with steer_hidden_states(model, {layer: steering}, sensitive_features=groups, pooling=pooling):
        return collected(model, tokenizer, pooling, layer, TEXTS[FEW], **options)[0]


def transformed(model, tokenizer, steering, pooling, groups=GROUPS[FEW]):
    X, of = collected(model, tokenizer, pooling, texts=TEXTS[FEW])
    return X, steering.transform(X, sensitive_features=None if groups is None else groups[of])


def state_of(model):
    return {name: part.clone() for name, part in model.state_dict().items()}


def hooks_of(model):
    names = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called")
    return [list(getattr(m, name)) for m in model.modules() for name in names]


# ---- collecting ------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_batched_states_are_those_of_single_texts(model, pooling, side):
    tokenizer = tiny_tokenizer(side)
    texts = TEXTS[:7]
    together, of = collected(model, tokenizer, pooling, texts=texts, batch_size=4)
    alone = [collected(model, tokenizer, pooling, texts=[text])[0] for text in texts]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    assert together.shape == (len(of), HIDDEN)
    assert len(np.unique(together.round(3), axis=0)) > 1


@pytest.mark.parametrize("layer", [0, 1, -2])
def test_states_are_those_that_transformers_returns(model, tokenizer, layer):
    texts = TEXTS[:5]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        every = model(**inputs, output_hidden_states=True).hidden_states
    expected = every[1:][layer].numpy()
    mask = inputs["attention_mask"].numpy().astype(bool)
    for found, full, real in zip(
        collect_hidden_states(model, tokenizer, texts, layer, "all"), expected, mask, strict=True
    ):
        np.testing.assert_allclose(found, full[real], atol=1e-5)
    last = collect_hidden_states(model, tokenizer, texts, layer, "last")
    mean = collect_hidden_states(model, tokenizer, texts, layer, "mean")
    for k, (full, real) in enumerate(zip(expected, mask, strict=True)):
        np.testing.assert_allclose(last[k], full[real][-1], atol=1e-5)
        np.testing.assert_allclose(mean[k], full[real].mean(axis=0), atol=1e-5)


def test_long_texts_are_truncated_only_by_max_length(llama, tokenizer):
    text = [" ".join(["nurse"] * 20)]
    assert len(collect_hidden_states(llama, tokenizer, text, 0, "all")[0]) == 20
    assert len(collect_hidden_states(llama, tokenizer, text, 0, "all", max_length=5)[0]) == 5


def test_a_tokenizer_may_be_any_callable(llama, tokenizer):
    def words(texts, **options):
        found = tokenizer(texts, **options)
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    expected = collected(llama, tokenizer, texts=TEXTS[:3])[0]
    np.testing.assert_array_equal(collected(llama, words, texts=TEXTS[:3])[0], expected)


# ---- hooked states equal the transform ---------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_hooked_states_equal_the_transform(model, pooling, side):
    tokenizer = tiny_tokenizer(side)
    steering = fitted(model, tokenizer, pooling)
    before, expected = transformed(model, tokenizer, steering, pooling)
    found = steered(model, tokenizer, steering, pooling, batch_size=24)
    assert np.abs(expected - before).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_is_steered_in_single(family, dtype, pooling, tokenizer):
    model = tiny_model(family, getattr(torch, dtype))
    steering = fitted(model, tokenizer, pooling, strength=0.5)
    before, expected = transformed(model, tokenizer, steering, pooling)
    found = steered(model, tokenizer, steering, pooling, batch_size=24)
    assert found.dtype == np.float32
    assert np.abs(expected - before).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-2)


def test_double_precision_stays(tokenizer):
    model = tiny_model("llama", torch.float64)
    steering = fitted(model, tokenizer)
    _, expected = transformed(model, tokenizer, steering, "last")
    found = steered(model, tokenizer, steering, "last")
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


CONFIGURATIONS = {
    "strength": {"strength": 0.3},
    "tied": {"covariance_type": "tied"},
    "diag": {"covariance_type": "diag"},
    "identical": {"conditions": "identical"},
    "whitened": {"conditions": "whitened"},
    "map": {"label_strategy": "map"},
    "none": {"label_strategy": "none"},
    "equal opportunity": {"constraint": "equal_opportunity"},
    "demographic parity": {"constraint": "demographic_parity", "intervention": "all_subgroups"},
    "all subgroups": {"intervention": "all_subgroups"},
    "pooled": {"handle_unknown": "pooled"},
    "sample without labels": {"constraint": "demographic_parity", "label_strategy": "sample"},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration_is_that_of_the_transform(name, llama, tokenizer):
    steering = fitted(llama, tokenizer, **CONFIGURATIONS[name])
    before, expected = transformed(llama, tokenizer, steering, "last")
    assert np.abs(expected - before).max() > 0.1
    found = steered(llama, tokenizer, steering, "last")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"covariance_type": "tied"},
        {"constraint": "equal_opportunity"},
        {"constraint": "demographic_parity"},
        {"label_strategy": "none", "strength": 0.5},
    ],
    ids=str,
)
def test_groups_are_inferred_from_the_state(model, tokenizer, parameters):
    steering = fitted(model, tokenizer, group_strategy="posterior", **parameters)
    some = np.where(np.arange(24) % 2, GROUPS[FEW].astype(object), None)
    for groups in (None, some):
        before, expected = transformed(model, tokenizer, steering, "last", groups)
        assert np.abs(expected - before).max() > 0.1
        found = steered(model, tokenizer, steering, "last", groups)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("group_strategy", ["given", "posterior"])
def test_channels_draw_by_the_identifier_of_the_text(llama, tokenizer, pooling, group_strategy):
    steering = fitted(
        llama, tokenizer, pooling, label_strategy="channel", group_strategy=group_strategy
    )
    assert steering.channel_.blurred.any()
    groups = GROUPS[FEW] if group_strategy == "given" else None
    ids = np.arange(100, 124)
    X, of = collected(llama, tokenizer, pooling, texts=TEXTS[FEW])
    own = {"sensitive_features": None if groups is None else groups[of]}
    expected = steering.transform(X, row_ids=ids[of], **own)
    layers = {LAYER: steering}
    with steer_hidden_states(
        llama, layers, sensitive_features=groups, pooling=pooling, row_ids=ids
    ):
        found = collected(llama, tokenizer, pooling, texts=TEXTS[FEW])[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    with (
        pytest.raises(ValueError, match="row_ids"),
        steer_hidden_states(llama, layers, sensitive_features=groups, pooling=pooling),
    ):
        pass
    with (
        pytest.raises(ValueError, match="row_ids has 3"),
        steer_hidden_states(
            llama, layers, sensitive_features=groups, pooling=pooling, row_ids=[1, 2, 3]
        ),
    ):
        collected(llama, tokenizer, pooling, texts=TEXTS[FEW])


def test_unseen_and_merged_groups_move_as_in_the_transform(llama, tokenizer):
    X, _ = collected(llama, tokenizer)
    groups = GROUPS.astype(object)
    groups[:2], groups[2:5] = "rare", "rarer"
    labels = LABELS.copy()
    labels[:5] = [0, 1, 0, 1, 2]
    steering = OptimalSteeringTransformer(
        shrinkage=0.1, small_groups="pooled", handle_unknown="pooled", random_state=0
    ).fit(X, labels, sensitive_features=groups)
    assert steering.pooled_groups_ == ["rare", "rarer"]
    asked = groups[FEW].copy()
    asked[-1] = "never seen"
    _, expected = transformed(llama, tokenizer, steering, "last", asked)
    found = steered(llama, tokenizer, steering, "last", asked)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_two_merged_groups_share_a_distribution(llama, tokenizer):
    X, _ = collected(llama, tokenizer)
    groups = GROUPS.astype(object)
    groups[:12] = np.repeat(["rare", "rarer"], 6)
    labels = LABELS.copy()
    labels[:12] = [0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2]
    steering = OptimalSteeringTransformer(shrinkage=0.1, small_groups="pooled", random_state=0).fit(
        X, labels, sensitive_features=groups
    )
    assert steering.distribution_.groups.tolist() == ["a", "b", "c", "pooled"]
    _, expected = transformed(llama, tokenizer, steering, "last", groups[FEW])
    found = steered(llama, tokenizer, steering, "last", groups[FEW])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_intersections_of_two_attributes(llama, tokenizer):
    X, _ = collected(llama, tokenizer)
    both = np.column_stack([GROUPS.astype(object), np.arange(N) % 2])
    steering = OptimalSteeringTransformer(shrinkage=0.1, random_state=0)
    steering.fit(X, LABELS, sensitive_features=both)
    _, expected = transformed(llama, tokenizer, steering, "last", both[FEW])
    found = steered(llama, tokenizer, steering, "last", both[FEW])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_attribute_may_have_been_a_column(llama, tokenizer):
    X, _ = collected(llama, tokenizer)
    table = pd.DataFrame(X).rename(columns=str)
    table.insert(3, "group", GROUPS)
    steering = OptimalSteeringTransformer("group", shrinkage=0.1, random_state=0)
    steering.fit(table, LABELS)
    found = steered(llama, tokenizer, steering, "last")
    np.testing.assert_allclose(found, steering.transform(table)[FEW], rtol=0, atol=1e-5)


def test_a_single_map_needs_no_groups(llama, tokenizer, rng):
    X, of = collected(llama, tokenizer)
    eraser = WithinLabelEraser(constraint="demographic_parity")
    eraser.fit(X, LABELS, sensitive_features=GROUPS[of])
    own = AffineMap(rng.normal(size=(HIDDEN, HIDDEN)), rng.normal(size=HIDDEN))
    for steering, expected in ((eraser, eraser.transform(X)), (own, own.apply(X))):
        found = steered(llama, tokenizer, steering, "last", groups=None)
        np.testing.assert_allclose(found, expected[FEW], rtol=0, atol=1e-5)


def test_a_constant_dimension_stays(llama, tokenizer):
    X, _ = collected(llama, tokenizer)
    X = X.copy()
    X[:, 4] = X[0, 4]
    steering = OptimalSteeringTransformer(shrinkage=0.1, random_state=0)
    steering.fit(X, LABELS, sensitive_features=GROUPS)
    before, expected = transformed(llama, tokenizer, steering, "last")
    found = steered(llama, tokenizer, steering, "last")
    np.testing.assert_array_equal(found[:, 4], before[:, 4])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_reference_group_stays_to_the_last_bit(tokenizer):
    for dtype in (torch.float32, torch.bfloat16):
        model = tiny_model("llama", dtype)
        steering = fitted(model, tokenizer, "all")
        own = GROUPS[FEW] == steering.reference_group_
        before = collect_hidden_states(model, tokenizer, TEXTS[FEW], LAYER, "all")
        with steer_hidden_states(
            model, {LAYER: steering}, sensitive_features=GROUPS[FEW], pooling="all"
        ):
            after = collect_hidden_states(model, tokenizer, TEXTS[FEW], LAYER, "all")
        assert own.any()
        assert not own.all()
        for stays, one, other in zip(own, before, after, strict=True):
            assert np.array_equal(one, other) == stays


def test_the_last_token_alone_moves(llama, tokenizer):
    steering = fitted(llama, tokenizer, "last")
    before = collect_hidden_states(llama, tokenizer, TEXTS[FEW], LAYER, "all")
    with steer_hidden_states(
        llama, {LAYER: steering}, sensitive_features=GROUPS[FEW], pooling="last"
    ):
        after = collect_hidden_states(llama, tokenizer, TEXTS[FEW], LAYER, "all")
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[:-1], other[:-1])


def test_the_mean_moves_all_tokens_equally(llama, tokenizer):
    steering = fitted(llama, tokenizer, "mean")
    before = collect_hidden_states(llama, tokenizer, TEXTS[FEW], LAYER, "all")
    with steer_hidden_states(
        llama, {LAYER: steering}, sensitive_features=GROUPS[FEW], pooling="mean"
    ):
        after = collect_hidden_states(llama, tokenizer, TEXTS[FEW], LAYER, "all")
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(
            other - one, np.broadcast_to((other - one)[0], one.shape), atol=1e-5
        )


def test_several_layers_each_see_what_those_before_have_moved(model, tokenizer):
    first = fitted(model, tokenizer, "all", 0)
    with steer_hidden_states(model, {0: first}, sensitive_features=GROUPS[FEW], pooling="all"):
        moved, of = collected(model, tokenizer, "all", 2, TEXTS[FEW])
    second = fitted(model, tokenizer, "all", 2)
    expected = second.transform(moved, sensitive_features=GROUPS[FEW][of])
    with steer_hidden_states(
        model, {0: first, -1: second}, sensitive_features=GROUPS[FEW], pooling="all"
    ):
        found, _ = collected(model, tokenizer, "all", 2, TEXTS[FEW])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_steered_batches_are_steered_single_texts(model, pooling):
    tokenizer = tiny_tokenizer("left" if model.config.model_type == "llama" else "right")
    steering = fitted(model, tokenizer, pooling)
    inputs = tokenizer(TEXTS[:6], padding=True, return_tensors="pt")
    mask = inputs["attention_mask"].bool()
    with torch.inference_mode():
        with steer_hidden_states(
            model, {LAYER: steering}, sensitive_features=GROUPS[:6], pooling=pooling
        ):
            together = model(**inputs).logits
        for k in range(6):
            one = tokenizer(TEXTS[k : k + 1], return_tensors="pt")
            with steer_hidden_states(
                model, {LAYER: steering}, sensitive_features=GROUPS[k : k + 1], pooling=pooling
            ):
                alone = model(**one).logits[0]
            torch.testing.assert_close(together[k][mask[k]], alone, rtol=1e-3, atol=1e-3)


# ---- nothing is left behind --------------------------------------------------------------------


def test_leaving_restores_the_model_bit_for_bit(model, tokenizer):
    steering = fitted(model, tokenizer)
    inputs = tokenizer(TEXTS[FEW], padding=True, return_tensors="pt")
    state, hooks = state_of(model), hooks_of(model)
    with torch.inference_mode():
        before = model(**inputs).logits
        with steer_hidden_states(model, {LAYER: steering}, sensitive_features=GROUPS[FEW]) as same:
            assert same is model
            during = model(**inputs).logits
        after = model(**inputs).logits
    assert not torch.equal(before, during)
    assert torch.equal(before, after)
    assert hooks_of(model) == hooks
    assert all(torch.equal(part, state[name]) for name, part in model.state_dict().items())


def test_an_exception_restores_the_model_too(model, tokenizer):
    steering = fitted(model, tokenizer)
    inputs = tokenizer(TEXTS[FEW], padding=True, return_tensors="pt")
    hooks = hooks_of(model)
    with torch.inference_mode():
        before = model(**inputs).logits
        with (
            pytest.raises(RuntimeError, match="on purpose"),
            steer_hidden_states(model, {LAYER: steering}, sensitive_features=GROUPS[FEW]),
        ):
            model(**inputs)
            raise RuntimeError("on purpose")
        # An exception inside of a pass: a batch that the groups do not fit.
        with (
            pytest.raises(ValueError, match="sensitive_features has 24"),
            steer_hidden_states(model, {LAYER: steering}, sensitive_features=GROUPS[FEW]),
        ):
            model(**tokenizer(TEXTS[:3], padding=True, return_tensors="pt"))
        # And one before any pass: the second layer does not exist.
        with (
            pytest.raises(ValueError, match="does not exist"),
            steer_hidden_states(
                model, {LAYER: steering, 9: steering}, sensitive_features=GROUPS[FEW]
            ),
        ):
            pass
        after = model(**inputs).logits
    assert torch.equal(before, after)
    assert hooks_of(model) == hooks


def test_a_pass_that_fails_does_not_spoil_the_next_one(llama, tokenizer):
    steering = fitted(llama, tokenizer)
    expected = steered(llama, tokenizer, steering, "last")
    with steer_hidden_states(llama, {LAYER: steering}, sensitive_features=GROUPS[FEW]):
        with pytest.raises(ValueError, match="sensitive_features has 24"):
            collected(llama, tokenizer, texts=TEXTS[:3])
        found, _ = collected(llama, tokenizer, texts=TEXTS[FEW])
    np.testing.assert_array_equal(found, expected)


def test_contexts_nest(llama, tokenizer):
    outer, inner = fitted(llama, tokenizer), fitted(llama, tokenizer, layer=2)
    together = {LAYER: outer, 2: inner}
    with steer_hidden_states(llama, together, sensitive_features=GROUPS[FEW]):
        expected, _ = collected(llama, tokenizer, layer=2, texts=TEXTS[FEW])
    with (
        steer_hidden_states(llama, {LAYER: outer}, sensitive_features=GROUPS[FEW]),
        steer_hidden_states(llama, {2: inner}, sensitive_features=GROUPS[FEW]),
    ):
        found, _ = collected(llama, tokenizer, layer=2, texts=TEXTS[FEW])
    np.testing.assert_array_equal(found, expected)


# ---- generation ------------------------------------------------------------------------------


def generate(model, tokenizer, texts, **options):
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model.generate(
            **inputs,
            max_new_tokens=6,
            do_sample=False,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
            **options,
        )


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def decoder(request):
    return tiny_model(request.param)


def test_generation_with_a_cache_is_generation_without(decoder):
    tokenizer = tiny_tokenizer("left")
    steering = fitted(decoder, tokenizer, "all")
    plain = generate(decoder, tokenizer, TEXTS[:4])
    with steer_hidden_states(
        decoder, {LAYER: steering}, sensitive_features=GROUPS[:4], pooling="all"
    ):
        cached = generate(decoder, tokenizer, TEXTS[:4], use_cache=True)
        whole = generate(decoder, tokenizer, TEXTS[:4], use_cache=False)
    assert torch.equal(cached.sequences, whole.sequences)
    for one, other in zip(cached.logits, whole.logits, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(plain.logits[0], cached.logits[0], atol=1e-2)
    assert torch.equal(generate(decoder, tokenizer, TEXTS[:4]).sequences, plain.sequences)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pass_of_a_cached_generation_is_steered(decoder, pooling):
    tokenizer = tiny_tokenizer("left")
    steering = fitted(decoder, tokenizer, pooling)
    seen = {"before": [], "after": []}
    blocks = decoder.model.layers if hasattr(decoder, "model") else decoder.transformer.h

    def watch(when):
        def hook(module, args, output):
            states = output[0] if isinstance(output, tuple) else output
            seen[when].append(states[:, -1].numpy())

        return blocks[LAYER].register_forward_hook(hook)

    first = watch("before")
    with steer_hidden_states(
        decoder, {LAYER: steering}, sensitive_features=GROUPS[:4], pooling=pooling
    ):
        last = watch("after")
        generate(decoder, tokenizer, TEXTS[:4], use_cache=True)
    first.remove()
    last.remove()
    assert len(seen["after"]) == 6
    # The first pass holds the prompt, whose mean is not its last token.
    for before, after in list(zip(seen["before"], seen["after"], strict=True))[
        1 if pooling == "mean" else 0 :
    ]:
        expected = steering.transform(before, sensitive_features=GROUPS[:4])
        np.testing.assert_allclose(after, expected, rtol=0, atol=1e-5)


def test_generation_in_a_batch_is_generation_alone(decoder):
    tokenizer = tiny_tokenizer("left")
    steering = fitted(decoder, tokenizer, "last")
    with steer_hidden_states(decoder, {LAYER: steering}, sensitive_features=GROUPS[:4]):
        together = generate(decoder, tokenizer, TEXTS[:4])
    for k in range(4):
        with steer_hidden_states(decoder, {LAYER: steering}, sensitive_features=GROUPS[k : k + 1]):
            alone = generate(decoder, tokenizer, TEXTS[k : k + 1])
        for one, other in zip(together.logits, alone.logits, strict=True):
            torch.testing.assert_close(one[k], other[0], rtol=1e-3, atol=1e-3)


def test_beams_want_a_group_each(decoder):
    tokenizer = tiny_tokenizer("left")
    steering = fitted(decoder, tokenizer)
    with (
        steer_hidden_states(decoder, {LAYER: steering}, sensitive_features=GROUPS[:2]),
        pytest.raises(ValueError, match="sensitive_features has 2"),
    ):
        generate(decoder, tokenizer, TEXTS[:2], num_beams=2)
    with steer_hidden_states(
        decoder, {LAYER: steering}, sensitive_features=np.repeat(GROUPS[:2], 2)
    ):
        assert len(generate(decoder, tokenizer, TEXTS[:2], num_beams=2).sequences) == 2


# ---- concepts --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joy():
    return np.random.default_rng(3).integers(0, 2, size=N)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_concept_is_steered_as_in_numpy(model, tokenizer, joy, pooling):
    X, of = collected(model, tokenizer, pooling)
    concept = ConceptSteering().fit(X, joy[of], sensitive_features=GROUPS[of])
    before, of = collected(model, tokenizer, pooling, texts=TEXTS[FEW])
    some = np.where(np.arange(24) % 2, GROUPS[FEW].astype(object), None)
    for groups in (GROUPS[FEW], some, None):
        with steer_concept(
            model, {LAYER: concept}, 1.5, sensitive_features=groups, pooling=pooling
        ):
            found, _ = collected(model, tokenizer, pooling, texts=TEXTS[FEW])
        expected = concept.transform(
            before, alpha=1.5, sensitive_features=None if groups is None else groups[of]
        )
        assert np.abs(found - before).max() > 0.05
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_concept_steers_generation_and_leaves_no_trace(decoder, joy):
    tokenizer = tiny_tokenizer("left")
    X, of = collected(decoder, tokenizer)
    concept = ConceptSteering().fit(X, joy[of], sensitive_features=GROUPS[of])
    plain = generate(decoder, tokenizer, TEXTS[:4])
    with steer_concept(decoder, {LAYER: concept}, 3.0, sensitive_features=GROUPS[:4]):
        moved = generate(decoder, tokenizer, TEXTS[:4])
    assert not torch.allclose(plain.logits[0], moved.logits[0], atol=1e-2)
    with steer_concept(decoder, {LAYER: concept}, 0.0, sensitive_features=GROUPS[:4]):
        still = generate(decoder, tokenizer, TEXTS[:4])
    for one, other, again in zip(
        plain.logits, still.logits, generate(decoder, tokenizer, TEXTS[:4]).logits, strict=True
    ):
        assert torch.equal(one, other)
        assert torch.equal(one, again)


def test_the_effect_in_the_model_is_the_same_in_all_groups(llama, tokenizer, joy):
    X, of = collected(llama, tokenizer)
    concept = ConceptSteering().fit(
        X + 2.0 * joy[:, None] * X[:3].std(axis=0), joy, sensitive_features=GROUPS
    )
    with steer_concept(llama, {LAYER: concept}, 2.0, sensitive_features=GROUPS[FEW]):
        found, _ = collected(llama, tokenizer, texts=TEXTS[FEW])
    change = (found - X[FEW]) @ concept.probes_[0, 0]
    np.testing.assert_allclose(change, 2.0 * concept.ideal_effects_[0], rtol=1e-4)
    naive = concept.effects()["before"]
    assert np.ptp(naive) > 0.01 * np.abs(naive).max()


# ---- errors ----------------------------------------------------------------------------------


def context(model, steering, groups=GROUPS[FEW], **options):
    with steer_hidden_states(model, {LAYER: steering}, sensitive_features=groups, **options):
        pass


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"family": "copula"}, "family='copula' cannot steer hidden states"),
        ({"family": "lognormal"}, "family='lognormal' cannot steer hidden states"),
        ({"label_strategy": "sample"}, "label_strategy='sample' draws a label"),
        ({"max_drift": 3.0}, "max_drift"),
    ],
    ids=str,
)
def test_steerings_that_cannot_run_inside_a_model_are_refused(llama, parameters, message, rng):
    X, y = np.exp(rng.normal(size=(120, 3))), rng.integers(0, 2, size=120)
    steering = OptimalSteeringTransformer(random_state=0, **parameters)
    steering.fit(X, y, sensitive_features=np.arange(120) % 2)
    with pytest.raises(ValueError, match=message):
        context(llama, steering)


def test_other_objects_are_refused(llama, tokenizer, rng):
    fit = fitted(llama, tokenizer)
    concept = ConceptSteering().fit(
        rng.normal(size=(60, 3)), np.arange(60) % 2, sensitive_features=np.arange(60) % 3
    )
    with pytest.raises(TypeError, match="dict cannot steer hidden states"):
        context(llama, {})
    with pytest.raises(TypeError, match="pass it to steer_concept"):
        context(llama, concept)
    with pytest.raises(ValueError, match=r"An AffineMap of shape \(3,\) is an array of maps"):
        context(llama, fit.group_maps_)
    with pytest.raises(ValueError, match="is not fitted yet"):
        context(llama, OptimalSteeringTransformer())
    with pytest.raises(ValueError, match="is not fitted yet"):
        context(llama, WithinLabelEraser())
    with (
        pytest.raises(TypeError, match="OptimalSteeringTransformer has no step length"),
        steer_concept(llama, {LAYER: fit}, 1.0),
    ):
        pass
    with (
        pytest.raises(ValueError, match="is not fitted yet"),
        steer_concept(llama, {LAYER: ConceptSteering()}, 1.0),
    ):
        pass
    with (
        pytest.raises(ValueError, match="alpha=nan must be a finite number"),
        steer_concept(llama, {LAYER: concept}, float("nan")),
    ):
        pass
    with (
        pytest.raises(ValueError, match="have 12 dimensions, but the steering was fitted to 3"),
        steer_concept(llama, {LAYER: concept}, 1.0),
    ):
        collected(llama, tokenizer, texts=TEXTS[:3])


def test_groups_are_checked(llama, tokenizer):
    steering = fitted(llama, tokenizer)
    with pytest.raises(ValueError, match="were not seen in fit"):
        context(llama, steering, ["a", "z"])
    with pytest.raises(ValueError, match=r"has 1 missing value\(s\)"):
        context(llama, steering, ["a", None])
    with (
        steer_hidden_states(llama, {LAYER: steering}),
        pytest.raises(ValueError, match="sensitive_features is missing"),
    ):
        collected(llama, tokenizer, texts=TEXTS[:3])


@pytest.mark.parametrize("layer", [3, -4, 1.0, "1", True])
def test_layers_are_checked(llama, tokenizer, layer):
    with pytest.raises(ValueError, match="does not exist: the model has 3 blocks"):
        collect_hidden_states(llama, tokenizer, TEXTS[:2], layer)
    identity = AffineMap.identity(HIDDEN)
    with (
        pytest.raises(ValueError, match="does not exist: the model has 3 blocks"),
        steer_hidden_states(llama, {layer: identity}),
    ):
        pass


def test_other_arguments_are_checked(llama, tokenizer):
    identity = AffineMap.identity(HIDDEN)
    with pytest.raises(ValueError, match=r"pooling must be one of \['last', 'mean', 'all'\]"):
        context(llama, identity, pooling="first")
    with pytest.raises(ValueError, match="pooling must be one of"):
        collect_hidden_states(llama, tokenizer, TEXTS[:2], 0, "first")
    with (
        pytest.raises(ValueError, match="contain a block twice"),
        steer_hidden_states(llama, {2: identity, -1: identity}),
    ):
        pass
    with pytest.raises(ValueError, match="steerings is empty"), steer_hidden_states(llama, {}):
        pass
    with pytest.raises(TypeError, match="texts is a string"):
        collect_hidden_states(llama, tokenizer, "a nurse", 0)
    with pytest.raises(ValueError, match="texts is empty"):
        collect_hidden_states(llama, tokenizer, [], 0)
    with pytest.raises(ValueError, match=r"texts\[1\] has no tokens"):
        collect_hidden_states(llama, tokenizer, ["nurse", "", "she"], 0)
    with pytest.raises(ValueError, match="batch_size=0 must be a whole number"):
        collect_hidden_states(llama, tokenizer, TEXTS[:2], 0, batch_size=0)
    with pytest.raises(TypeError, match="returns no attention_mask"):
        ids = torch.tensor([[3, 4]])
        collect_hidden_states(llama, lambda texts, **options: {"input_ids": ids}, ["a nurse"], 0)
    without = tiny_tokenizer()
    without.pad_token = None
    with pytest.raises(ValueError, match="has no padding token"):
        collect_hidden_states(llama, without, TEXTS[:2], 0)
    one = collect_hidden_states(llama, without, TEXTS[:2], 0, batch_size=1)
    np.testing.assert_allclose(
        one, collect_hidden_states(llama, tokenizer, TEXTS[:2], 0), atol=1e-5
    )


def test_a_model_in_training_mode_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        collect_hidden_states(tiny_model("gpt2").train(), tokenizer, TEXTS[:2], 0)


def test_models_without_one_list_of_blocks_are_refused(tokenizer):
    bare = torch.nn.Linear(2, 2)
    with pytest.raises(TypeError, match="Linear has 0 lists of config.num_hidden_layers=None"):
        collect_hidden_states(bare, tokenizer, TEXTS[:2], 0)
    two = torch.nn.Module()
    two.config = SimpleNamespace(num_hidden_layers=2)
    two.encoder = torch.nn.ModuleList([bare, bare])
    with pytest.raises(TypeError, match="above its blocks takes input_ids and attention_mask"):
        collect_hidden_states(two, tokenizer, TEXTS[:2], 0)
    two.decoder = torch.nn.ModuleList([bare, bare])
    with pytest.raises(TypeError, match="has 2 lists"):
        collect_hidden_states(two, tokenizer, TEXTS[:2], 0)


def test_unknown_padding_is_refused(llama, tokenizer):
    inputs = tokenizer(TEXTS[:3], padding=True, return_tensors="pt")
    identity = AffineMap.identity(HIDDEN)
    n_tokens = inputs["input_ids"].shape[1]
    with steer_hidden_states(llama, {0: identity}), torch.inference_mode():
        with pytest.raises(ValueError, match=r"mask must have shape \(texts, tokens\)"):
            llama(inputs["input_ids"], torch.zeros(3, 1, n_tokens, n_tokens))
        llama(**inputs)
        with pytest.raises(ValueError, match="outside of its model's forward pass"):
            states = torch.zeros(1, 2, HIDDEN)
            places = llama.model.rotary_emb(states, torch.arange(2)[None])
            llama.model.layers[0](states, position_embeddings=places)


def test_without_a_mask_every_token_counts(llama, tokenizer):
    steering = fitted(llama, tokenizer)
    inputs = tokenizer(TEXTS[:1], return_tensors="pt")
    with (
        torch.inference_mode(),
        steer_hidden_states(llama, {LAYER: steering}, sensitive_features=GROUPS[:1]),
    ):
        expected = llama(**inputs).logits
        assert torch.equal(llama(inputs["input_ids"]).logits, expected)
        assert torch.equal(llama(inputs["input_ids"], inputs["attention_mask"]).logits, expected)


def test_gradients_pass_through(llama, tokenizer):
    steering = fitted(llama, tokenizer, "all")
    inputs = tokenizer(TEXTS[:2], padding=True, return_tensors="pt")
    embedded = llama.model.embed_tokens(inputs["input_ids"]).detach().requires_grad_()
    with steer_hidden_states(
        llama, {LAYER: steering}, sensitive_features=GROUPS[:2], pooling="all"
    ):
        out = llama(inputs_embeds=embedded, attention_mask=inputs["attention_mask"])
    out.logits.sum().backward()
    assert torch.isfinite(embedded.grad).all()
    assert embedded.grad.abs().max() > 0


def test_nan_states_of_padding_have_no_effect(llama, tokenizer):
    steering = fitted(llama, tokenizer, "mean")
    _, expected = transformed(llama, tokenizer, steering, "mean")

    def spoil(module, args, output):
        states, *rest = output if isinstance(output, tuple) else (output,)
        states = states.masked_fill(~mask[..., None], float("nan"))
        return (states, *rest) if isinstance(output, tuple) else states

    inputs = tokenizer(TEXTS[FEW], padding=True, return_tensors="pt")
    mask = inputs["attention_mask"].bool()
    spoiler = llama.model.layers[LAYER].register_forward_hook(spoil)
    try:
        found = steered(llama, tokenizer, steering, "mean")
    finally:
        spoiler.remove()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
