"""How an update lies to other updates: to those of its round, and to the one that the same lease gave elsewhere."""

import math
from collections.abc import Sequence
from contextlib import ExitStack

import torch

from emeth.files.codec import CHUNK, EncodedReader, chunks
from emeth.files.tensors import Layout
from emeth.wire.params import CodecName

# Stands for whatever has no finite value, as JSON has neither ∞ nor NaN.
MAX_NUMBER = 1e308


def cosines(path: str, others: Sequence[str], codec: CodecName, theta: Layout) -> list[float]:
    """The cosine of an update with each of some others; 0 with an update of zeros."""
    with ExitStack() as stack:
        readers = [stack.enter_context(EncodedReader(each, codec, theta)) for each in (path, *others)]
        mine, yours = torch.empty(2, CHUNK)
        own, squares, products = 0.0, [0.0] * len(others), [0.0] * len(others)
        for name, spec in theta.items():
            for start, end in chunks(spec.count):
                a, b = mine[: end - start], yours[: end - start]
                readers[0].read(name, start, a)
                own += float(torch.dot(a, a))
                for i, reader in enumerate(readers[1:]):
                    reader.read(name, start, b)
                    squares[i] += float(torch.dot(b, b))
                    products[i] += float(torch.dot(a, b))
    return [
        product / math.sqrt(own * square) if own * square > 0 else 0.0
        for product, square in zip(products, squares, strict=True)
    ]


def distance(path: str, expected: str, codec: CodecName, theta: Layout) -> float:
    """‖update − expected‖ ÷ ‖expected‖ of the decoded numbers; MAX_NUMBER when that is not finite."""
    with EncodedReader(path, codec, theta) as reader, EncodedReader(expected, codec, theta) as other:
        found, wanted = torch.empty(2, CHUNK)
        difference, square = 0.0, 0.0
        for name, spec in theta.items():
            for start, end in chunks(spec.count):
                a, b = found[: end - start], wanted[: end - start]
                reader.read(name, start, a)
                other.read(name, start, b)
                square += float(torch.dot(b, b))
                a.sub_(b)
                difference += float(torch.dot(a, a))
    if difference == 0:
        return 0.0
    relative = math.sqrt(difference / square) if square > 0 else math.inf
    return relative if math.isfinite(relative) else MAX_NUMBER
