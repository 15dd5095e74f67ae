"""The processes that train one model together: a single one, or several of one owner's devices (`processes.py`)."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from emeth.data.sequences import Sequences
from emeth.models.network import Network
from emeth.models.program import Program

T = TypeVar("T")

# The orders of the first process to the others, between two steps.
GO, CANCEL, CLOSE, DIVERGED, FAILED = 0, 1, 2, 3, 4

# A part of a block: some of its rows, and what they weigh, which is 0 for rows that only keep step with others.
Part = tuple[slice, float]


class Team(Protocol):
    """The processes that train together, as the training loop sees them. Only the first reads and writes files."""

    rank: int
    size: int
    # Seconds after which those that wait for the first process must hear of it.
    beat_seconds: float

    def device(self, wanted: str) -> str:
        """This process's device."""
        ...

    def build(self, program: Program, device: torch.device) -> Network:
        """The model, or this process's share of it, with its memory allocated."""
        ...

    def wrap(self, model: Network) -> nn.Module:
        """The model, made to sum gradients over the team."""
        ...

    def no_sync(self, network: nn.Module) -> AbstractContextManager[object]:
        """A context in which gradients may stay in this process."""
        ...

    def parts(self, batch: int, rows: int) -> list[Part]:
        """What this process computes of a block, so many rows at a time; never nothing."""
        ...

    def first(self, work: Callable[[], T]) -> T | None:
        """Have the first process alone do something; its failure becomes one of every process."""
        ...

    def share(self, line: bytes | None) -> bytes:
        """The first process's bytes, on every process."""
        ...

    def blocks(self, blocks: Sequences | None) -> Sequences:
        """The first process's blocks, on every process."""
        ...

    def put(self, weight: Tensor, value: Callable[[], Tensor]) -> None:
        """Give a weight the value that the first process has for it."""
        ...

    def whole(self, weight: Tensor) -> Tensor:
        """All of a weight."""
        ...

    def agree(self, order: int) -> int:
        """The first process's order, on every process."""
        ...

    def total(self, values: Tensor) -> Tensor:
        """The sum over the team."""
        ...


def split(share: slice, rows: int) -> list[slice]:
    """A range of rows in pieces."""
    return [slice(at, min(at + rows, share.stop)) for at in range(share.start, share.stop, rows)]


class Solo:
    """A team of one."""

    rank = 0
    size = 1
    beat_seconds = 3600.0

    def device(self, wanted: str) -> str:
        return wanted

    def build(self, program: Program, device: torch.device) -> Network:
        return program.build(device)

    def wrap(self, model: Network) -> nn.Module:
        return model

    def no_sync(self, network: nn.Module) -> AbstractContextManager[object]:
        return nullcontext(network)

    def parts(self, batch: int, rows: int) -> list[Part]:
        return [(piece, 1.0) for piece in split(slice(0, batch), rows)]

    def first(self, work: Callable[[], T]) -> T | None:
        return work()

    def share(self, line: bytes | None) -> bytes:
        return line or b""

    def blocks(self, blocks: Sequences | None) -> Sequences:
        assert blocks is not None  # noqa: S101 - the first process has them
        return blocks

    def put(self, weight: Tensor, value: Callable[[], Tensor]) -> None:
        weight.copy_(value())

    def whole(self, weight: Tensor) -> Tensor:
        return weight

    def agree(self, order: int) -> int:
        return order

    def total(self, values: Tensor) -> Tensor:
        return values
