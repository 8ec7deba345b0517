"""Collection of the hidden states of texts, in batches."""

from __future__ import annotations

import numpy as np
import torch

from fairsteer.llm.model import backbone_and_blocks, block_position, hidden_states, parameter_names
from fairsteer.llm.pooling import check_pooling, last_tokens, token_mean, widen


def collect_hidden_states(
    model, tokenizer, texts, layer, pooling="last", *, batch_size=32, max_length=None
):
    """Run a model over texts and return the hidden states of one layer.

    Padding on either side has no effect: states of padding are not returned, and padding is moved
    to the right before the model runs. The model runs without its head, on its own device.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode. Inside a steering context, the states are steered.
    tokenizer : callable
        A tokenizer of Transformers, or any callable that returns ``input_ids`` and
        ``attention_mask`` as tensors.
    texts : sequence of str
        Not empty.
    layer : int
        Position of the block, from 0, or from -1 backward.
    pooling : {"last", "mean", "all"}, default="last"
        The state of the last token of each text, the mean state of its tokens, or the states of all
        tokens. Tokens that the tokenizer adds, for instance ``[CLS]``, are included.
    batch_size : int, default=32
        Number of texts in a forward pass.
    max_length : int, default=None
        Number of tokens to which texts are truncated; None to keep all.

    Returns
    -------
    ndarray of shape (n, d), or list of n ndarrays of shape (n_tokens, d) for ``"all"``
        float32, or float64 if the model's states are.

    Raises
    ------
    ValueError
        If the model is in training mode, the layer does not exist, there are no texts, a text
        has no tokens, or an option is unknown.
    TypeError
        If `texts` is a string, the list of blocks of the model is not found, or the tokenizer
        returns no mask.
    """
    check_pooling(pooling)
    backbone, blocks = backbone_and_blocks(model)
    block = blocks[block_position(layer, len(blocks))]
    if model.training:
        raise ValueError(
            "The model is in training mode, in which dropout adds noise to hidden states: call "
            "model.eval() first."
        )
    if isinstance(texts, str):
        raise TypeError("texts is a string: pass a list of strings.")
    texts = list(texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text.")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be a whole number of at least 1.")
    if len(texts) > 1 and batch_size > 1 and getattr(tokenizer, "pad_token", "") is None:
        raise ValueError(
            "The tokenizer has no padding token, so texts of different lengths do not fit into a "
            "batch: set tokenizer.pad_token = tokenizer.eos_token, or pass batch_size=1."
        )
    found = []

    def keep(module, args, output):
        found.append(hidden_states(output))

    hook = block.register_forward_hook(keep)
    collected = []
    try:
        with torch.inference_mode():
            for start in range(0, len(texts), batch_size):
                batch = texts[start : start + batch_size]
                inputs, mask = _tokenize(backbone, tokenizer, batch, max_length)
                if not mask.any(dim=1).all():
                    empty = start + int(mask.any(dim=1).int().argmin())
                    raise ValueError(
                        f"texts[{empty}] has no tokens, so it has no hidden state: drop this text."
                    )
                found.clear()
                backbone(**inputs)
                collected += _pool(found.pop(), mask, pooling)
    finally:
        hook.remove()
    return collected if pooling == "all" else np.stack(collected)


def _tokenize(backbone, tokenizer, texts, max_length):
    """Return the inputs of a batch, padded on the right, and the mask of its tokens."""
    options = {} if max_length is None else {"truncation": True, "max_length": max_length}
    encoded = tokenizer(texts, padding=len(texts) > 1, return_tensors="pt", **options)
    missing = [name for name in ("input_ids", "attention_mask") if name not in encoded]
    if missing:
        raise TypeError(
            f"The tokenizer returns no {' and no '.join(missing)}, so padding cannot be "
            "distinguished from text: use a tokenizer that returns both."
        )
    device = next(backbone.parameters()).device
    accepted = set(parameter_names(backbone))
    inputs = {
        name: encoded[name].to(device)
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in encoded and name in accepted
    }
    mask = inputs["attention_mask"].bool()
    # Positions are counted from the left, so padding on the left would shift those of the text.
    order = torch.argsort((~mask).int(), dim=1, stable=True)
    inputs = {name: part.gather(1, order) for name, part in inputs.items()}
    if "use_cache" in accepted:
        inputs["use_cache"] = False
    return inputs, mask.gather(1, order)


def _pool(hidden, mask, pooling):
    """Return a list with an array for each text."""
    hidden = widen(hidden)
    if pooling == "all":
        return [own[real].cpu().numpy() for own, real in zip(hidden, mask, strict=True)]
    picked = token_mean(hidden, mask) if pooling == "mean" else hidden[last_tokens(mask)]
    return list(picked.cpu().numpy())
