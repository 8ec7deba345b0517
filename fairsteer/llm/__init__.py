"""Hidden states of language models: collect them, and steer them while the model runs.

Needs ``pip install fairsteer[llm]``. Models are those of Transformers, or any that have a
``config.num_hidden_layers``, one list of as many blocks, and take ``input_ids`` and
``attention_mask``: the families of Llama, GPT-2, BERT and most others. A layer is the position
of a block, from 0, or from -1 backwards; its hidden states are what the block puts out.
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
