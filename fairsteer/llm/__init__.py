"""Collect hidden states of language models, and steer them while a model runs.

Needs ``pip install fairsteer[llm]``. Supported are models of Transformers, and any model with
``config.num_hidden_layers``, a single list of that many blocks, and the inputs ``input_ids`` and
``attention_mask``: for instance Llama, GPT-2 and BERT. A layer is the position of a block, from 0,
or from -1 backward; its hidden states are the output of the block.
"""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"fairsteer.llm needs PyTorch ({error}): pip install 'fairsteer[llm]'."
    ) from error

from fairsteer.llm.collect import collect_hidden_states
from fairsteer.llm.steer import steer_concept, steer_hidden_states

__all__ = ["collect_hidden_states", "steer_concept", "steer_hidden_states"]
