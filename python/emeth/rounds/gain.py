"""What an update is good for: by how much it lowers the loss on data of its own lease."""

import math
from collections.abc import Callable

import torch

from emeth.files.codec import CHUNK, EncodedReader, chunks
from emeth.files.tensors import Layout
from emeth.models.network import Network
from emeth.rounds.compare import MAX_NUMBER
from emeth.wire.params import CodecName


def gain_of(model: Network, update: str, codec: CodecName, theta: Layout, loss_of: Callable[[Network], float]) -> float:
    """loss(θ) − loss(θ − Δ); −MAX_NUMBER when that is not finite. The model then holds θ − Δ."""
    before = loss_of(model)
    weights = dict(model.named_parameters())
    scratch = torch.empty(CHUNK)
    with EncodedReader(update, codec, theta) as reader, torch.no_grad():
        for name, spec in theta.items():
            flat = weights[name].view(-1)
            for start, end in chunks(spec.count):
                decoded = scratch[: end - start]
                reader.read(name, start, decoded)
                flat[start:end] -= decoded.to(flat.device)
    gain = before - loss_of(model)
    return gain if math.isfinite(gain) else -MAX_NUMBER
