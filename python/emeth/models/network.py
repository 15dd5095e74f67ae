"""A language model as training, evaluation and generation see it, whatever its kind."""

import numpy as np
import torch
from torch import Tensor, nn

from emeth.data.sequences import Sequences


class Network(nn.Module):
    """A causal language model; the parameters that require a gradient are those that are trained."""

    context: int
    vocab_size: int

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Mean loss in nats over the targets whose mask is 1, or over all; 0 where none counts."""
        raise NotImplementedError

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Scores of the next token at every place."""
        raise NotImplementedError


def tensors_of(sequences: Sequences, device: torch.device | str) -> tuple[Tensor, Tensor | None]:
    """Tokens and mask of sequences on a device."""
    tokens = torch.from_numpy(sequences.tokens.astype(np.int64)).to(device, non_blocking=True)
    if sequences.mask is None:
        return tokens, None
    return tokens, torch.from_numpy(np.ascontiguousarray(sequences.mask)).to(device, non_blocking=True)
