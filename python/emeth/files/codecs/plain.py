"""`fp32` and `bf16`: every number on its own, 4 or 2 bytes each.

fp32 is exact; bf16 rounds to the nearest of its numbers, and of two as near to the even one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from emeth.files.codecs.protocol import Part


class Fp32:
    """`<name>`, F32, of the tensor's own shape."""

    parts = (Part("", "F32", lambda count: count, shaped=True),)

    def encode(self, values: Tensor) -> tuple[Tensor, ...]:
        return (values.to(torch.float32),)

    def decode(self, parts: Sequence[Tensor], out: Tensor, factor: float = 1.0) -> None:
        torch.mul(parts[0], factor, out=out)


class Bf16:
    """`<name>`, BF16, of the tensor's own shape."""

    parts = (Part("", "BF16", lambda count: count, shaped=True),)

    def encode(self, values: Tensor) -> tuple[Tensor, ...]:
        return (values.to(torch.bfloat16),)

    def decode(self, parts: Sequence[Tensor], out: Tensor, factor: float = 1.0) -> None:
        out.copy_(parts[0]).mul_(factor)
