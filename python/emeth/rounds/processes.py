"""A team as one of its processes sees it: each holds the model (DDP), or each a share of it (FSDP2).

The first process alone reads and writes files, so that further boxes need none. Nothing is ever pickled.
"""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from emeth.data.sequences import Sequences
from emeth.models.network import Network
from emeth.models.program import Program
from emeth.rounds.team import FAILED, GO, Part, split
from emeth.wire.events import Failure

T = TypeVar("T")


class Orders:
    """How the first process tells the others what to do: on the CPU, apart from gradients, so as to wait for no GPU."""

    def __init__(self, device: str, timeout_ms: int) -> None:
        """Meet the other processes."""
        if device != "cpu":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        timeout = timedelta(milliseconds=timeout_ms)
        dist.init_process_group("gloo" if device == "cpu" else "nccl", timeout=timeout)
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self.beat_seconds = timeout_ms / 4000
        self._group = dist.new_group(backend="gloo", timeout=timeout)

    def share(self, line: bytes | None) -> bytes:
        """The first process's bytes, on every process."""
        length = torch.tensor([len(line or b"")])
        dist.broadcast(length, 0, group=self._group)
        data = torch.empty(int(length), dtype=torch.uint8)
        if line and self.rank == 0:
            data.copy_(torch.frombuffer(bytearray(line), dtype=torch.uint8))
        if len(data):
            dist.broadcast(data, 0, group=self._group)
        return data.numpy().tobytes()

    def agree(self, order: int) -> int:
        """The first process's order, on every process."""
        shared = torch.tensor([order])
        dist.broadcast(shared, 0, group=self._group)
        return int(shared)

    def highest(self, value: int) -> int:
        """The highest value of any process, on every process."""
        shared = torch.tensor([value])
        dist.all_reduce(shared, dist.ReduceOp.MAX, group=self._group)
        return int(shared)


class Processes:
    """A team in which every process holds the whole model."""

    def __init__(self, orders: Orders, device: str) -> None:
        self._cuda = device != "cpu"
        self.rank, self.size, self.beat_seconds = orders.rank, orders.size, orders.beat_seconds
        self.share, self.agree = orders.share, orders.agree

    def device(self, wanted: str) -> str:
        return f"cuda:{os.environ['LOCAL_RANK']}" if self._cuda else wanted

    def build(self, program: Program, device: torch.device) -> Network:
        return program.build(device)

    def wrap(self, model: Network) -> nn.Module:
        # What is trained is put there each round, and the rest is the same for all; buffers never change.
        return DistributedDataParallel(model, gradient_as_bucket_view=True, forward_sync_buffers=False, init_sync=False)

    def no_sync(self, network: nn.Module) -> AbstractContextManager[object]:
        return cast(DistributedDataParallel, network).no_sync()

    def parts(self, batch: int, rows: int) -> list[Part]:
        # A process without a row takes part with one that does not count.
        return [(piece, 1.0) for piece in split(self._share(batch), rows)] or [(slice(0, 1), 0.0)]

    def first(self, work: Callable[[], T]) -> T | None:
        made, error = None, None
        if self.rank == 0:
            try:
                made = work()
            except Exception as caught:  # whatever it is, the others must hear of it
                error = caught
        if self.agree(GO if error is None else FAILED) == GO:
            return made
        raise error or Failure("train/first-process", "The first process could not do it.")

    def blocks(self, blocks: Sequences | None) -> Sequences:
        arrays = [] if blocks is None else [blocks.tokens] if blocks.mask is None else [blocks.tokens, blocks.mask]
        heads = [[array.dtype.str, array.shape] for array in arrays]
        told = json.loads(self.share(json.dumps(heads).encode()))
        data = [self.share(array.tobytes()) for array in arrays] or [self.share(None) for _ in told]
        return Sequences(
            *(np.frombuffer(each, kind).reshape(shape) for each, (kind, shape) in zip(data, told, strict=True))
        )

    def put(self, weight: Tensor, value: Callable[[], Tensor]) -> None:
        if self.rank == 0:
            weight.copy_(value())
        dist.broadcast(weight.detach(), 0)

    def whole(self, weight: Tensor) -> Tensor:
        return weight

    def total(self, values: Tensor) -> Tensor:
        dist.all_reduce(values)
        return values

    def _share(self, batch: int, rank: int | None = None) -> slice:
        rank = self.rank if rank is None else rank
        return slice(batch * rank // self.size, batch * (rank + 1) // self.size)


class Shards(Processes):
    """A team in which every process holds a share of each weight, of its gradient and of the optimiser's state.

    A block of the model is gathered where it computes. No process ever holds more of all blocks than one tensor.
    """

    def __init__(self, orders: Orders, device: str) -> None:
        super().__init__(orders, device)
        self._mesh: DeviceMesh = init_device_mesh("cuda" if self._cuda else "cpu", (self.size,))

    def build(self, program: Program, device: torch.device) -> Network:
        model = program.build("meta")
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        for module in model.modules():
            if isinstance(module, nn.ModuleList):
                for block in module:
                    fully_shard(block, mesh=self._mesh)
        fully_shard(model, mesh=self._mesh)
        model.to_empty(device=device)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
            weights = dict(model.named_parameters())
            for name, value in program.frozen():
                # Every process reads the same, and keeps its share.
                weights[name].copy_(self._distributed(value.to(device), weights[name], None))
        return model

    def wrap(self, model: Network) -> nn.Module:
        return model

    def no_sync(self, network: nn.Module) -> AbstractContextManager[object]:
        # Gradients that wait would be whole ones.
        return nullcontext(network)

    def parts(self, batch: int, rows: int) -> list[Part]:
        # Whoever computes asks the others for their shares of the weights: all have to compute equally often.
        most = max(len(split(self._share(batch, rank), rows)) for rank in range(self.size))
        own: list[Part] = [(piece, 1.0) for piece in split(self._share(batch), rows)]
        return own + [(slice(0, 1), 0.0)] * (most - len(own))

    def put(self, weight: Tensor, value: Callable[[], Tensor]) -> None:
        full = torch.empty(weight.shape, device=weight.device)
        if self.rank == 0:
            full.copy_(value())
        weight.copy_(self._distributed(full, weight, 0))

    def whole(self, weight: Tensor) -> Tensor:
        return cast(DTensor, weight.detach()).full_tensor()

    def _distributed(self, full: Tensor, like: Tensor, source: int | None) -> DTensor:
        return distribute_tensor(full, self._mesh, cast(DTensor, like).placements, src_data_rank=source)
