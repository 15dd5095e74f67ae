"""Several processes for one model: torchrun with DDP, NCCL between GPUs and gloo between CPU processes.

The child the node started stays the parent: it starts torchrun and passes lines both ways between its own stdin and
events and the first process, over a Unix socket, because a descriptor does not survive torchrun's way of starting
processes.
The first process reads commands and tells the others over a gloo group; nothing is ever pickled.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from emeth.wire.events import EVENTS_FD, Inbox, InboxClosed, Outbox
from emeth.wire.parse import camel
from emeth.wire.spec import TrainSpec, parse_spec

_SOCKET = "EMETH_RELAY_SOCKET"
_SPEC = "EMETH_RELAY_SPEC"
# How long processes that were asked to end may take before they are killed.
_STOP_SECONDS = 3.0


def run(spec: TrainSpec, inbox: Inbox) -> None:
    """Start the processes and pass lines on until either side ends."""
    with tempfile.TemporaryDirectory(prefix="emeth-") as folder:
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"{folder}/relay")
        server.listen(1)
        team = _start(spec, f"{folder}/relay")
        try:
            _relay(server, inbox, team)
        finally:
            _stop(team)
            server.close()
    if team.returncode not in (0, -signal.SIGTERM):
        raise RuntimeError(f"torchrun ended with status {team.returncode}.")


def _start(spec: TrainSpec, path: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {_SOCKET: path, _SPEC: json.dumps(_to_json(asdict(spec)))}
    if spec.threads > 0:
        environment["OMP_NUM_THREADS"] = str(spec.threads)
    # Without it, torchrun 2.13 has the processes meet at the machine's name, which not every box can resolve.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", str(spec.processes), "-m", "emeth.rounds.parallel"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own interpreter


def _relay(server: socket.socket, inbox: Inbox, team: subprocess.Popen[bytes]) -> None:
    """Both directions at once; ends when stdin does, or when the processes end."""
    ended = threading.Event()
    # Shutting the server down wakes an `accept` that no process will answer any more.
    waiter = threading.Thread(target=_shut_when_ended, args=(team, server), daemon=True)
    waiter.start()
    try:
        connection, _ = server.accept()
    except OSError as error:
        raise RuntimeError(f"torchrun ended with status {team.wait()} before it was ready.") from error
    pump = threading.Thread(target=_pump_events, args=(connection, ended), daemon=True)
    pump.start()
    try:
        while not ended.is_set():
            line = inbox.next_line_within(0.1)
            if line:
                connection.sendall(line)
    except BrokenPipeError:
        pass
    finally:
        connection.close()


def _shut_when_ended(team: subprocess.Popen[bytes], server: socket.socket) -> None:
    team.wait()
    try:
        server.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _pump_events(connection: socket.socket, ended: threading.Event) -> None:
    try:
        while data := connection.recv(65536):
            while data:
                data = data[os.write(EVENTS_FD, data) :]
    except OSError:
        pass
    finally:
        ended.set()


def _stop(team: subprocess.Popen[bytes]) -> None:
    """The processes end by themselves once the socket is closed; otherwise they are terminated, then killed."""
    ends: list[Callable[[], None]] = [lambda: None, team.terminate, team.kill]
    for end in ends:
        end()
        try:
            team.wait(_STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue


def _to_json(value: object) -> object:
    if isinstance(value, dict):
        return {camel(name): _to_json(item) for name, item in value.items()}
    return value


class Processes:
    """The team as one of its torchrun processes sees it."""

    def __init__(self, device: str) -> None:
        self._cuda = device != "cpu"
        if self._cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if self._cuda else "gloo")
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        # Orders travel apart from gradients, on the CPU, so that they never wait for a GPU.
        self._orders = dist.new_group(backend="gloo")

    def device(self, wanted: str) -> str:
        return f"cuda:{os.environ['LOCAL_RANK']}" if self._cuda else wanted

    def wrap(self, model: nn.Module) -> nn.Module:
        return DistributedDataParallel(model, gradient_as_bucket_view=True)

    def no_sync(self, network: nn.Module) -> AbstractContextManager[object]:
        return cast(DistributedDataParallel, network).no_sync()

    def rows(self, batch: int) -> tuple[slice, float]:
        start, end = batch * self.rank // self.size, batch * (self.rank + 1) // self.size
        if start == end:  # fewer rows than processes: take part with one that does not count
            return slice(0, 1), 0.0
        return slice(start, end), 1.0

    def share(self, line: bytes | None) -> bytes:
        length = torch.tensor([len(line or b"")])
        dist.broadcast(length, 0, group=self._orders)
        data = torch.zeros(int(length), dtype=torch.uint8)
        if line:
            data.copy_(torch.frombuffer(bytearray(line), dtype=torch.uint8))
        if len(data):
            dist.broadcast(data, 0, group=self._orders)
        return data.numpy().tobytes()

    def agree(self, order: int) -> int:
        shared = torch.tensor([order])
        dist.broadcast(shared, 0, group=self._orders)
        return int(shared)

    def total(self, values: Tensor) -> Tensor:
        dist.all_reduce(values)
        return values


def main() -> None:
    """One process of the team."""
    from emeth.rounds.device import set_up
    from emeth.rounds.train import run as train

    spec = parse_spec(os.environ[_SPEC].encode())
    assert isinstance(spec, TrainSpec)  # noqa: S101 - the parent wrote it
    set_up(spec)
    team = Processes(spec.device)
    inbox = outbox = None
    if team.rank == 0:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(os.environ[_SOCKET])
        outbox = Outbox(connection.fileno())
        inbox = Inbox(connection.makefile("rb"))
    try:
        train(spec, inbox, outbox, team)
    except InboxClosed:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
