"""Loss of a model on held-out sequences."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emeth.data.sequences import Sequences
from emeth.models.network import Network, tensors_of
from emeth.wire.events import Inbox

# Tokens computed at once: enough to fill a core; and scores held at once (64 MiB), for large vocabularies.
_BATCH_TOKENS = 8192
_BATCH_SCORES = 2**24


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Mean nats per token and per byte, and the number of tokens."""

    loss: float
    tokens: int
    loss_per_byte: float


def evaluate(model: Network, sequences: Sequences, token_bytes: NDArray[np.int64], inbox: Inbox) -> Evaluation:
    """Loss over the targets that count; the sum is in float64 and does not depend on what runs beside it."""
    context = sequences.context
    device = next(model.parameters()).device
    total, num_tokens, num_bytes = 0.0, 0, 0
    rows = max(1, min(_BATCH_TOKENS, _BATCH_SCORES // model.vocab_size) // context)
    with torch.inference_mode():
        for start in range(0, len(sequences), rows):
            inbox.check_open()
            part = sequences[start : start + rows]
            tokens, mask = tensors_of(part, device)
            total += float(model(tokens[:, :-1], tokens[:, 1:], mask)) * part.num_targets
            num_tokens += part.num_targets
            num_bytes += int(token_bytes[part.targets()].sum())
    return Evaluation(loss=total / max(1, num_tokens), tokens=num_tokens, loss_per_byte=total / max(1, num_bytes))
