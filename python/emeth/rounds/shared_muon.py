"""Muon for weights of which each process holds a share (FSDP2): Newton–Schulz needs whole matrices.

Each weight has an owner, which alone holds it whole, with its momentum, and takes the step; all keep their share of
what comes out. So every step is computed once, and what owners hold is divided over the processes as the shares are.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from emeth.models.hidden import HiddenMatrix
from emeth.rounds.optimiser import Muon


class SharedMuon(Muon):
    """As `Muon`, in every process of a team at the same time."""

    def __init__(self, matrices: Sequence[HiddenMatrix], momentum: float, weight_decay: float) -> None:
        # Each once, in the model's order.
        self._weights = list(dict.fromkeys(matrix.weight for matrix in matrices))
        self._own: dict[nn.Parameter, nn.Parameter] = {}
        for owner, weight in self._each():
            whole = _whole(weight.detach())
            if owner == dist.get_rank():
                self._own[weight] = nn.Parameter(whole)
        held = [replace(each, weight=self._own[each.weight]) for each in matrices if each.weight in self._own]
        super().__init__(held, momentum, weight_decay)

    @torch.no_grad()
    def step(self) -> None:
        """Move the matrices along their gradients."""
        for _, weight in self._each():
            assert weight.grad is not None  # noqa: S101 - each takes part in the loss
            gradient = _whole(weight.grad)
            if weight in self._own:
                self._own[weight].grad = gradient
        super().step()
        for owner, weight in self._each():
            moved = (
                self._own[weight].detach() if weight in self._own else torch.empty(weight.shape, device=weight.device)
            )
            assert isinstance(weight, DTensor)  # noqa: S101 - that is why this class is there
            weight.copy_(distribute_tensor(moved, weight.device_mesh, weight.placements, src_data_rank=owner))
        for whole in self._own.values():
            whole.grad = None

    def _each(self) -> list[tuple[int, nn.Parameter]]:
        """Every weight with its owner."""
        return [(at % dist.get_world_size(), weight) for at, weight in enumerate(self._weights)]


def _whole(values: Tensor) -> Tensor:
    assert isinstance(values, DTensor)  # noqa: S101 - as above
    return values.full_tensor()
