"""Hidden states of texts, batch by batch."""

from __future__ import annotations

import numpy as np
import torch

from fairsteer.llm.model import backbone_and_blocks, block_position, parameter_names, states_of
from fairsteer.llm.pooling import check_pooling, last_tokens, token_mean, widened


def collect_hidden_states(
    model, tokenizer, texts, layer, pooling="last", *, batch_size=32, max_length=None
):
    """Run a model over texts and return the hidden states of one layer.

    Padding, on whichever side the tokenizer puts it, changes nothing: no state of a padding
    position is returned, and tokens are moved to the left of it before the model runs. What runs
    is the model without its head, on its own device.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode. A steering that is active on it is in the states.
    tokenizer : callable
        Of Transformers, or any that returns ``input_ids`` and ``attention_mask`` as tensors.
    texts : sequence of str
        At least one.
    layer : int
        Position of the block.
    pooling : {"last", "mean", "all"}, default="last"
        The state of each text's last token, the mean over its tokens, or all of its tokens'
        states. Tokens that the tokenizer adds, such as ``[CLS]``, count.
    batch_size : int, default=32
        Texts in one forward pass.
    max_length : int, default=None
        Tokens after which a text is cut; default nowhere.

    Returns
    -------
    ndarray of shape (n, d), or list of n ndarrays of shape (n_tokens, d) for ``"all"``
        float32; float64 where the model's states are.

    Raises
    ------
    ValueError
        If the model is in training mode, the layer does not exist, there are no texts, a text
        has no tokens, or an option is unknown.
    TypeError
        If `texts` is one text, the model has no list of blocks that can be found, or the
        tokenizer returns no mask.
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
        raise TypeError("texts is one string: pass a list of them.")
    texts = list(texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one.")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be a whole number of at least 1.")
    if len(texts) > 1 and batch_size > 1 and getattr(tokenizer, "pad_token", "") is None:
        raise ValueError(
            "The tokenizer has no padding token, so texts of several lengths do not fit into one "
            "batch: set tokenizer.pad_token = tokenizer.eos_token, or pass batch_size=1."
        )
    found = []
    keep = block.register_forward_hook(lambda module, args, output: found.append(states_of(output)))
    collected = []
    try:
        with torch.inference_mode():
            for start in range(0, len(texts), batch_size):
                batch = texts[start : start + batch_size]
                inputs, mask = _tokens(backbone, tokenizer, batch, max_length)
                if not mask.any(dim=1).all():
                    empty = start + int(mask.any(dim=1).int().argmin())
                    raise ValueError(
                        f"texts[{empty}] has no tokens, so it has no hidden state: drop it."
                    )
                found.clear()
                backbone(**inputs)
                collected += _pooled(found.pop(), mask, pooling)
    finally:
        keep.remove()
    return collected if pooling == "all" else np.stack(collected)


def _tokens(backbone, tokenizer, texts, max_length):
    """Return the inputs of a batch with its padding on the right, and which tokens are real."""
    options = {} if max_length is None else {"truncation": True, "max_length": max_length}
    encoded = tokenizer(texts, padding=len(texts) > 1, return_tensors="pt", **options)
    missing = [name for name in ("input_ids", "attention_mask") if name not in encoded]
    if missing:
        raise TypeError(
            f"The tokenizer returns no {' and no '.join(missing)}, so padding cannot be told from "
            "text: use one that returns both."
        )
    device = next(backbone.parameters()).device
    accepted = set(parameter_names(backbone))
    inputs = {
        name: encoded[name].to(device)
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in encoded and name in accepted
    }
    mask = inputs["attention_mask"].bool()
    # Positions are counted from the left, so that padding there would shift those of the text.
    order = torch.argsort((~mask).int(), dim=1, stable=True)
    inputs = {name: part.gather(1, order) for name, part in inputs.items()}
    if "use_cache" in accepted:
        inputs["use_cache"] = False
    return inputs, mask.gather(1, order)


def _pooled(hidden, mask, pooling):
    """Return an array for each text."""
    hidden = widened(hidden)
    if pooling == "all":
        return [own[real].cpu().numpy() for own, real in zip(hidden, mask, strict=True)]
    picked = token_mean(hidden, mask) if pooling == "mean" else hidden[last_tokens(mask)]
    return list(picked.cpu().numpy())
