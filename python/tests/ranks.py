"""Processes of a team, forked from this one: what torchrun does in seconds is done at once."""

import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from emeth.rounds.processes import Orders, Processes, Shards
from emeth.rounds.train import Trainer
from emeth.wire.events import Outbox
from emeth.wire.parse import parse
from emeth.wire.spec import TrainSpec
from tests.child import Json

TIMEOUT_MS = 60_000


def run_ranks(size: int, work: Callable[[Orders], None], timeout_ms: int = TIMEOUT_MS) -> list[int]:
    """Do something in each process of a team on CPUs; returns their exit statuses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pids = [_fork(rank, size, port, lambda: work(Orders("cpu", timeout_ms))) for rank in range(size)]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def _fork(rank: int, size: int, port: int, work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port, "GROUP_RANK": 0}
        os.environ |= {name: str(value) for name, value in places.items()} | {"MASTER_ADDR": "127.0.0.1"}
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def answers(spec: Json, commands: list[Json], size: int = 2) -> list[Json]:
    """What a team answers to commands, one after the other."""
    parsed = parse(TrainSpec, spec)
    events = Path(parsed.work_dir, "events")

    def work(orders: Orders) -> None:
        team = (Shards if parsed.sharded else Processes)(orders, "cpu")
        with events.open("wb", buffering=0) as file:
            trainer = Trainer(parsed, None, Outbox(file.fileno()) if team.rank == 0 else None, team)
            for number, command in enumerate(commands, 1):
                trainer.answer(json.dumps({"id": number, **command}).encode())

    assert run_ranks(size, work) == [0] * size
    return [event for line in events.read_bytes().splitlines() if (event := json.loads(line))["type"] != "progress"]
