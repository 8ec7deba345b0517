"""The blocks of a model and the module that runs them, for any family of models."""

from __future__ import annotations

import inspect

import numpy as np
import torch


def backbone_and_blocks(model):
    """Return the module that embeds tokens and runs the blocks, and the list of blocks."""
    config = getattr(model, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    n_blocks = getattr(config, "num_hidden_layers", None)
    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_blocks
    }
    # A list inside a block, for instance of experts, can have the same length.
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    if len(outer) != 1:
        raise TypeError(
            f"{type(model).__name__} has {len(outer)} lists of config.num_hidden_layers="
            f"{n_blocks} blocks instead of one: pass a decoder, for instance Llama or GPT-2, or an "
            "encoder, for instance BERT."
        )
    path = outer[0].split(".")
    for end in range(len(path) - 1, -1, -1):
        owner = model.get_submodule(".".join(path[:end]))
        if {"input_ids", "attention_mask"} <= set(parameter_names(owner)):
            return owner, lists[outer[0]]
    raise TypeError(
        f"No module of {type(model).__name__} above its blocks takes input_ids and attention_mask, "
        "so padding cannot be distinguished from text: pass a model of Transformers."
    )


def parameter_names(module):
    """Return the names of the parameters of a module's ``forward``, in order."""
    return list(inspect.signature(module.forward).parameters)


def block_position(layer, n_blocks):
    """Return the position of a layer, counted from 0."""
    whole = isinstance(layer, int | np.integer) and not isinstance(layer, bool)
    if not whole or not -n_blocks <= layer < n_blocks:
        raise ValueError(
            f"layer={layer!r} does not exist: the model has {n_blocks} blocks, numbered from 0, or "
            "from -1 backward."
        )
    return int(layer) % n_blocks


def hidden_states(output):
    """Return the hidden states (texts, tokens, d) in the output of a block."""
    return output[0] if isinstance(output, tuple) else output
