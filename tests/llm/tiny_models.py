"""Tiny language models with random weights, and a tokenizer, without a download."""

import pytest

torch = pytest.importorskip("torch", reason="language models need the extra [llm]")
transformers = pytest.importorskip("transformers", reason="language models need the extra [llm]")

WORDS = [
    "the",
    "a",
    "nurse",
    "doctor",
    "she",
    "he",
    "they",
    "works",
    "sings",
    "happily",
    "late",
    "today",
    "and",
]
HIDDEN = 12
SHAPE = {"num_hidden_layers": 3, "num_attention_heads": 2, "hidden_size": HIDDEN}
FAMILIES = ("llama", "gpt2", "bert")


def tiny_tokenizer(padding_side="right"):
    """Return a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: k for k, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="[PAD]",
        unk_token="[UNK]",
        padding_side=padding_side,
        model_input_names=["input_ids", "attention_mask"],
    )


def tiny_model(family, dtype=None, seed=0):
    """Return a model with a head of one of `FAMILIES`, in evaluation mode."""
    vocabulary = {"vocab_size": len(WORDS) + 2, "pad_token_id": 0}
    torch.manual_seed(seed)
    if family == "llama":
        config = transformers.LlamaConfig(
            **SHAPE, **vocabulary, intermediate_size=24, bos_token_id=None, eos_token_id=None
        )
        model = transformers.LlamaForCausalLM(config)
    elif family == "gpt2":
        config = transformers.GPT2Config(
            n_layer=3,
            n_head=2,
            n_embd=HIDDEN,
            n_positions=64,
            bos_token_id=None,
            eos_token_id=None,
            **vocabulary,
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.BertConfig(
            **SHAPE, **vocabulary, intermediate_size=24, max_position_embeddings=64
        )
        model = transformers.BertForMaskedLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    return model.to(dtype or torch.float32).eval()


def sentences(n, seed=0, shortest=1, longest=9):
    """Return texts of several lengths."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=k)) for k in rng.integers(shortest, longest, size=n)]
