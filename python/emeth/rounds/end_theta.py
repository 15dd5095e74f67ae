"""The weights that an update leads to: what a worker signs for, and a master can compute again."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from emeth.files.codec import EncodedReader, chunks, raw
from emeth.files.tensors import Layout, hash_tensors
from emeth.wire.params import CodecName


def end_theta_of(theta_of: Callable[[str], Tensor], update: str, codec: CodecName, theta: Layout) -> str:
    """The sha256 of θ − Δ as a θ file, with Δ as the file says it. Exact: one subtraction per number."""
    with EncodedReader(update, codec, theta) as reader:

        def ends() -> Iterator[Any]:
            for name, spec in theta.items():
                weights = theta_of(name).clone()
                flat = weights.view(-1)
                for start, end in chunks(spec.count):
                    decoded = torch.empty(end - start)
                    reader.read(name, start, decoded)
                    flat[start:end] -= decoded
                yield raw(weights)

        return hash_tensors(theta, ends())
