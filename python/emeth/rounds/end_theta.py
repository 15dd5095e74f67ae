"""The weights that an update leads to: what a worker signs for, and a master can compute again."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import torch
from torch import Tensor

from emeth.files.codec import CHUNK, EncodedReader, EncodedWriter, chunks, raw
from emeth.files.codecs.names import CODECS
from emeth.files.tensors import FileRef, Layout, TensorHasher, hash_tensors
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


def write_update(
    path: str,
    codec: CodecName,
    theta: Layout,
    theta_of: Callable[[str], Tensor],
    weights_of: Callable[[str], Tensor],
) -> tuple[FileRef, str]:
    """Encode Δ = θ − weights into a file; with it comes its `end_theta_of`, from the same pass over θ."""
    decoded = torch.empty(CHUNK)
    # Taken in turn, as one is still being hashed while the next is made.
    ends = cycle(torch.empty(2, CHUNK))
    with EncodedWriter(path, codec, theta) as file, TensorHasher(theta) as hasher:
        for name, spec in theta.items():
            before, after = theta_of(name).view(-1), weights_of(name).reshape(-1)
            for start, end in chunks(spec.count):
                parts = CODECS[codec].encode(before[start:end] - after[start:end])
                file.put_chunk(name, start, parts)
                CODECS[codec].decode(parts, decoded[: end - start])
                reached = torch.sub(before[start:end], decoded[: end - start], out=next(ends)[: end - start])
                hasher.add(raw(reached))
            file.seal_chunks(name)
        reached_theta = hasher.done()
    return file.done(), reached_theta
