"""The processes that train one model together: a single one, or several under DDP (`parallel.py`)."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from torch import Tensor, nn

# The orders of the first process to the others, between two steps.
GO, CANCEL, CLOSE = 0, 1, 2


class Team(Protocol):
    """The processes that train together, as the training loop sees them."""

    rank: int
    size: int

    def device(self, wanted: str) -> str:
        """This process's device."""
        ...

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, made to sum gradients over the team."""
        ...

    def no_sync(self, network: nn.Module) -> AbstractContextManager[object]:
        """A context in which gradients stay in this process."""
        ...

    def rows(self, batch: int) -> tuple[slice, float]:
        """Rows of a block that are this process's, and their weight: 0 for a process that only keeps step."""
        ...

    def share(self, line: bytes | None) -> bytes:
        """The first process's line, on every process."""
        ...

    def agree(self, order: int) -> int:
        """The first process's order, on every process."""
        ...

    def total(self, values: Tensor) -> Tensor:
        """The sum over the team."""
        ...


class Solo:
    """A team of one."""

    rank = 0
    size = 1

    def device(self, wanted: str) -> str:
        return wanted

    def wrap(self, model: nn.Module) -> nn.Module:
        return model

    def no_sync(self, network: nn.Module) -> AbstractContextManager[object]:
        return nullcontext(network)

    def rows(self, batch: int) -> tuple[slice, float]:
        return slice(0, batch), 1.0

    def share(self, line: bytes | None) -> bytes:
        return line or b""

    def agree(self, order: int) -> int:
        return order

    def total(self, values: Tensor) -> Tensor:
        return values
