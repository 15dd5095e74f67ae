"""One of the processes that torchrun starts for a team (`parallel.py`)."""

import ctypes
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from emeth.rounds.base_share import bring_base
from emeth.rounds.device import set_up
from emeth.rounds.parallel import NO_MEMORY, SOCKET, SPEC
from emeth.rounds.processes import Orders, Processes, Shards
from emeth.rounds.train import run as train
from emeth.wire.events import Inbox, InboxClosed, Outbox
from emeth.wire.spec import MemberSpec, TrainSpec, parse_spec

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """One process of the team."""
    _end_with_agent()
    spec = parse_spec(os.environ[SPEC].encode())
    assert isinstance(spec, TrainSpec | MemberSpec)  # noqa: S101 - the parent wrote it
    try:
        _take_part(spec)
    except InboxClosed:
        dist.destroy_process_group()
    except (MemoryError, torch.OutOfMemoryError):
        Path(os.environ[SOCKET]).with_name(NO_MEMORY).touch()
        raise


def _take_part(own: TrainSpec | MemberSpec) -> None:
    orders = Orders(own.device, own.team_ms)
    spec = _spec_here(orders, own)
    set_up(spec)
    team = (Shards if spec.sharded else Processes)(orders, spec.device)
    with socket.socket(socket.AF_UNIX) as connection:
        inbox = outbox = None
        if team.rank == 0:
            connection.connect(os.environ[SOCKET])
            inbox, outbox = Inbox(connection.makefile("rb")), Outbox(connection.fileno())
        train(spec, inbox, outbox, team)


def _spec_here(orders: Orders, own: TrainSpec | MemberSpec) -> TrainSpec:
    """The first process's spec, with the device, threads and directories of this box."""
    spec = parse_spec(orders.share(os.environ[SPEC].encode() if orders.rank == 0 else None))
    assert isinstance(spec, TrainSpec)  # noqa: S101 - the first box is given one
    base = spec.base and bring_base(orders, spec.base, own.work_dir)
    return replace(spec, device=own.device, threads=own.threads, work_dir=own.work_dir, base=base)


def _end_with_agent() -> None:
    """Have the kernel kill this process with torchrun, which puts it into a session of its own."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
