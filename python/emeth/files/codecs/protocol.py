"""What a codec is: the parts a tensor is stored as, and both directions for consecutive numbers of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from emeth.files.tensors import TensorFileError

TORCH_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "I8": torch.int8, "U8": torch.uint8}


@dataclass(frozen=True, slots=True)
class Part:
    """One of the tensors that a tensor is stored as; its name is the tensor's with a suffix.

    `length` says how many elements it has for so many numbers. A part that is not `shaped` has one dimension.
    """

    suffix: str
    dtype: str
    length: Callable[[int], int]
    shaped: bool = False

    def buffer(self, count: int) -> Tensor:
        """Room for the part of so many numbers."""
        return torch.empty(self.length(count), dtype=TORCH_DTYPES[self.dtype])


class Codec(Protocol):
    """Numbers to parts and back.

    Both directions take consecutive numbers of a tensor that begin at a multiple of `GROUP`, so that a tensor can be
    worked through piece by piece. Every operation rounds once, and sums are added in a fixed order: the same numbers
    give the same bytes, and the same bytes the same numbers, on every CPU. Numbers that are not finite decode to some
    that are not finite either.
    """

    @property
    def parts(self) -> tuple[Part, ...]:
        """What a tensor is stored as."""

    def encode(self, values: Tensor) -> tuple[Tensor, ...]:
        """The parts of fp32 numbers, on the device where these lie."""

    def decode(self, parts: Sequence[Tensor], out: Tensor, factor: float = 1.0) -> None:
        """Decode parts into `out`, each number times a factor; scales are multiplied by it, where there are some.

        Raises TensorFileError for parts that no encoder makes.
        """


# Every codec's blocks divide it.
GROUP = 4096


def require(holds: Tensor, what: str) -> None:
    """Raise TensorFileError unless all of it is true."""
    if not bool(holds.all()):
        raise TensorFileError(what)
