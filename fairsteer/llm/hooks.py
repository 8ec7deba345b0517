"""Hooks that move the hidden states of a model's blocks."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from fairsteer.llm.model import backbone_and_blocks, block_position, hidden_states, parameter_names
from fairsteer.llm.pooling import POOLINGS, check_pooling
from fairsteer.llm.tensors import to_tensors


@contextmanager
def hooked(model, steps, sensitive_features, pooling, row_ids=None):
    """Keep hooks on the blocks at the layers in `steps`, and on their model for its mask."""
    check_pooling(pooling)
    backbone, blocks = backbone_and_blocks(model)
    if not steps:
        raise ValueError("steerings is empty: pass a dict from layers to fitted steerings.")
    if sensitive_features is not None and not hasattr(sensitive_features, "shape"):
        sensitive_features = list(sensitive_features)
    places = [block_position(layer, len(blocks)) for layer in steps]
    if len(set(places)) < len(places):
        raise ValueError(f"The layers {list(steps)} contain a block twice: pass each block once.")
    masks = Masks(backbone)
    with ExitStack() as hooks:
        hooks.callback(backbone.register_forward_pre_hook(masks.enter, with_kwargs=True).remove)
        hooks.callback(backbone.register_forward_hook(masks.leave, always_call=True).remove)
        for place, step in zip(places, steps.values(), strict=True):
            hook = Hook(step, sensitive_features, pooling, masks, row_ids)
            hooks.callback(blocks[place].register_forward_hook(hook).remove)
        yield


class Masks:
    """The attention mask of the current forward pass of a model."""

    def __init__(self, backbone):
        self.place = parameter_names(backbone).index("attention_mask")
        self.inside, self.mask = False, None

    def enter(self, module, args, kwargs):
        """Store the mask that the model is called with."""
        given = args[self.place] if len(args) > self.place else kwargs.get("attention_mask")
        if given is not None and getattr(given, "ndim", None) != 2:
            raise ValueError(
                "The attention mask must have shape (texts, tokens), so that padding can be "
                "distinguished from text: pass a mask of this shape, and generate with the default "
                "kind of cache."
            )
        self.inside, self.mask = True, given

    def leave(self, module, args, output):
        """Remove the mask."""
        self.inside, self.mask = False, None

    def select(self, hidden):
        """Return the mask (texts, tokens) of the tokens in states (texts, tokens, d)."""
        if not self.inside:
            raise ValueError(
                "A steered block runs outside of its model's forward pass, so padding cannot be "
                "distinguished from text: call the model, not its blocks."
            )
        n_texts, n_tokens = hidden.shape[:2]
        if self.mask is None:
            return torch.ones(n_texts, n_tokens, dtype=torch.bool, device=hidden.device)
        # With a cache, the mask includes the tokens of earlier passes.
        return self.mask[:, -n_tokens:].to(hidden.device).bool()


class Hook:
    """Forward hook that moves the hidden states of a block."""

    def __init__(self, steps, sensitive_features, pooling, masks, row_ids):
        self.steps, self.codes = steps, None
        self.draws = None if steps.draws is None else steps.draws(row_ids)
        self.move, self.masks = POOLINGS[pooling], masks
        if sensitive_features is not None:
            self.codes = steps.codes(sensitive_features, len(sensitive_features))
        self.tensors = {}

    def __call__(self, module, args, output):
        """Return the block's output with its states moved."""
        hidden = hidden_states(output)
        moved = self.move(hidden, self.masks.select(hidden), self.displacement)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    def displacement(self, states):
        """Return the displacements of states (texts, m, d)."""
        if states.shape[-1] != self.steps.n_features:
            raise ValueError(
                f"The states have {states.shape[-1]} dimensions, but the steering was fitted to "
                f"{self.steps.n_features}: fit it to states of this layer of this model."
            )
        key = states.device, states.dtype
        if key not in self.tensors:
            self.tensors[key] = to_tensors(self.steps, *key)
        steps = self.tensors[key]
        whole = len(steps.steered) == steps.n_features
        rows = states if whole else states[..., steps.steered]
        step = torch.zeros_like(rows)
        for code, texts in self._split_by_group(len(states), states.device):
            motion = steps.motions[code]
            if motion is not None:
                draws = self._repeat_draws(rows, texts)
                own = motion(rows[texts].flatten(0, 1), draws, xp=torch)
                step[texts] = own.view_as(step[texts])
        if whole:
            return step
        return torch.zeros_like(states).index_copy(-1, steps.steered, step)

    def _repeat_draws(self, rows, texts):
        """Return the draws of texts for each of their states, None where nothing is drawn."""
        if self.draws is None:
            return None
        if len(self.draws) != len(rows):
            raise ValueError(
                f"row_ids has {len(self.draws)} entries, but the batch has {len(rows)} texts: pass "
                "one identifier per text. If generate returns several sequences for a text, "
                "repeat or extend its identifier for each of them."
            )
        draws = torch.tensor(self.draws, device=rows.device, dtype=rows.dtype)[texts]
        return draws.repeat_interleave(rows.shape[1], dim=0)

    def _split_by_group(self, n_texts, device):
        """Yield the position of each group in the batch, and the index of its texts."""
        codes = self.codes
        if codes is None:
            codes = self.steps.codes(None, n_texts)
        if len(codes) != n_texts:
            raise ValueError(
                f"sensitive_features has {len(codes)} entries, but the batch has {n_texts} texts: "
                "pass the group of each text. If generate returns several sequences for a text, "
                "repeat its group for each of them."
            )
        for code in np.unique(codes):
            own = np.flatnonzero(codes == code)
            whole = len(own) == n_texts
            yield int(code), slice(None) if whole else torch.tensor(own, device=device)
