"""Several processes for one model: torchrun with NCCL between GPUs and gloo between CPU processes, in one box or more.

The child the node started stays the parent: it starts torchrun and, where the box is the first, passes lines both ways
between its own stdin and events and the first process, over a Unix socket, because a descriptor does not survive
torchrun's way of starting processes. The first process reads commands and tells the others over a gloo group. Nothing
is ever unpickled: torchrun's c10d rendezvous would do that with what arrives at its port, the static one does not.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.distributed as dist

from emeth.rounds.base_share import bring_base
from emeth.rounds.processes import Orders, Processes, Shards
from emeth.wire.events import EVENTS_FD, Inbox, InboxClosed, Outbox
from emeth.wire.parse import camel
from emeth.wire.spec import MemberSpec, TeamPlace, TrainSpec, parse_spec

_SOCKET = "EMETH_RELAY_SOCKET"
_SPEC = "EMETH_RELAY_SPEC"
# A file beside the socket by which a process says that it had not enough memory.
_NO_MEMORY = "no-memory"
# How long processes that were asked to end may take before they are killed.
_STOP_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1


def run(spec: TrainSpec | MemberSpec, inbox: Inbox) -> None:
    """Start the processes and pass lines on until either side ends."""
    with tempfile.TemporaryDirectory(prefix="emeth-") as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/relay")
        server.listen(1)
        team = _start(spec, f"{folder}/relay")
        try:
            if isinstance(spec, TrainSpec):
                _relay(server, inbox, team)
            else:
                _wait(inbox, team)
        finally:
            _stop(team)
        if Path(folder, _NO_MEMORY).exists():
            raise MemoryError("a process of the team had not enough of it; a smaller microBatch needs less.")
    if team.returncode not in (0, -signal.SIGTERM):
        raise RuntimeError(f"torchrun ended with status {team.returncode}.")


def _start(spec: TrainSpec | MemberSpec, path: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {_SOCKET: path, _SPEC: json.dumps(_to_json(asdict(spec)))}
    if spec.threads > 0:
        environment["OMP_NUM_THREADS"] = str(spec.threads)
    place = spec.team or TeamPlace(boxes=1, rank=0, address="127.0.0.1", port=_free_port())
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(place.boxes)]
    command += ["--node-rank", str(place.rank), "--master-addr", place.address, "--master-port", str(place.port)]
    command += ["--rdzv-conf", f"timeout={max(1, spec.team_ms // 1000)}"]
    # Without it, torchrun 2.13 looks up the machine's name, which not every box can resolve.
    command += ["--local-addr", place.address if place.rank == 0 else "127.0.0.1"]
    command += ["--nproc-per-node", str(spec.processes), "-m", "emeth.rounds.parallel"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own interpreter


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(inbox: Inbox, team: subprocess.Popen[bytes]) -> None:
    """Until the processes end; raises InboxClosed when the node wants no more of them."""
    while team.poll() is None:
        inbox.next_line_within(0.1)


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


def main() -> None:
    """One process of the team."""
    _end_with_agent()
    spec = parse_spec(os.environ[_SPEC].encode())
    assert isinstance(spec, TrainSpec | MemberSpec)  # noqa: S101 - the parent wrote it
    try:
        _take_part(spec)
    except InboxClosed:
        dist.destroy_process_group()
    except (MemoryError, torch.OutOfMemoryError):
        Path(os.environ[_SOCKET]).with_name(_NO_MEMORY).touch()
        raise


def _take_part(own: TrainSpec | MemberSpec) -> None:
    from emeth.rounds.device import set_up
    from emeth.rounds.train import run as train

    orders = Orders(own.device, own.team_ms)
    spec = _spec_here(orders, own)
    set_up(spec)
    team = (Shards if spec.sharded else Processes)(orders, spec.device)
    with socket.socket(socket.AF_UNIX) as connection:
        inbox = outbox = None
        if team.rank == 0:
            connection.connect(os.environ[_SOCKET])
            inbox, outbox = Inbox(connection.makefile("rb")), Outbox(connection.fileno())
        train(spec, inbox, outbox, team)


def _spec_here(orders: Orders, own: TrainSpec | MemberSpec) -> TrainSpec:
    """The first process's spec, with the device, threads and directories of this box."""
    spec = parse_spec(orders.share(os.environ[_SPEC].encode() if orders.rank == 0 else None))
    assert isinstance(spec, TrainSpec)  # noqa: S101 - the first box is given one
    base = spec.base and bring_base(orders, spec.base, own.work_dir)
    return replace(spec, device=own.device, threads=own.threads, work_dir=own.work_dir, base=base)


def _end_with_agent() -> None:
    """Have the kernel kill this process with torchrun, which puts it into a session of its own."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
