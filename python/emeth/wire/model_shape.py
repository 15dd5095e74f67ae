"""The shape of a model, apart from `models/gpt2.py` so that reading a spec does not import PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What fixes the tensors of a model."""

    layers: int
    heads: int
    width: int
    context: int
    vocab_size: int
    dropout: float = 0.0
