"""Several processes for one model: torchrun with NCCL between GPUs and gloo between CPU processes, in one box or more.

The child the node started stays the parent: it starts torchrun and, where the box is the first, passes lines both ways
between its own stdin and events and the first process (`process.py`), over a Unix socket, because a descriptor does not
survive torchrun's way of starting processes. On CPUs it does without PyTorch itself, which takes time and memory; with
GPUs it looks whether they are there. Nothing is ever unpickled: torchrun's c10d rendezvous would do that with what
arrives at its port, the static one does not.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from emeth.wire.events import EVENTS_FD, Inbox
from emeth.wire.parse import camel
from emeth.wire.spec import MemberSpec, TeamPlace, TrainSpec

# What the processes find in their environment.
SOCKET = "EMETH_RELAY_SOCKET"
SPEC = "EMETH_RELAY_SPEC"
# A file beside the socket by which a process says that it had not enough memory.
NO_MEMORY = "no-memory"
# How long processes that were asked to end may take before they are killed.
_STOP_SECONDS = 3.0
# How often a box looks whether the first one is there.
_LOOK_SECONDS = 1.0


def run(spec: TrainSpec | MemberSpec, inbox: Inbox) -> None:
    """Start the processes and pass lines on until either side ends."""
    if spec.device != "cpu":
        from emeth.rounds.device import set_up

        set_up(spec)
    if isinstance(spec, MemberSpec):
        _await_first(spec.team, inbox)
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
            _stop(team, spec)
        if Path(folder, NO_MEMORY).exists():
            raise MemoryError("a process of the team had not enough of it; a smaller microBatch needs less.")
    # Nobody has asked them to end, so that a signal is a failure, too.
    if team.returncode != 0:
        raise RuntimeError(f"torchrun ended with status {team.returncode}.")


def _start(spec: TrainSpec | MemberSpec, path: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {SOCKET: path, SPEC: json.dumps(_to_json(asdict(spec)))}
    if spec.threads > 0:
        environment["OMP_NUM_THREADS"] = str(spec.threads)
    place = spec.team or _own_place()
    # By themselves, gloo looks up the machine's name, and NCCL takes any interface.
    environment |= {"GLOO_SOCKET_IFNAME": place.interface, "NCCL_SOCKET_IFNAME": place.interface}
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(place.boxes)]
    command += ["--node-rank", str(place.rank), "--master-addr", place.address, "--master-port", str(place.port)]
    command += ["--rdzv-conf", f"timeout={max(1, spec.team_ms // 1000)}"]
    # Without it, torchrun 2.13 looks up the machine's name, which not every box can resolve.
    command += ["--local-addr", place.address if place.rank == 0 else "127.0.0.1"]
    command += ["--nproc-per-node", str(spec.processes), "-m", "emeth.rounds.process"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own interpreter


def _own_place() -> TeamPlace:
    """Where the processes of one box meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    interface = "lo" if sys.platform == "linux" else "lo0"
    return TeamPlace(boxes=1, rank=0, address="127.0.0.1", port=port, interface=interface)


def _await_first(place: TeamPlace, inbox: Inbox) -> None:
    """Until the first box has something to train; raises InboxClosed when the node wants no more of this one."""
    while True:
        try:
            socket.create_connection((place.address, place.port), _LOOK_SECONDS).close()
        except OSError:
            inbox.next_line_within(_LOOK_SECONDS)
        else:
            return


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


def _stop(team: subprocess.Popen[bytes], spec: TrainSpec | MemberSpec) -> None:
    """Processes that the closed socket tells to end do so; otherwise they are terminated, then killed."""
    ends: list[Callable[[], None]] = [lambda: None, team.terminate, team.kill]
    for end in ends if isinstance(spec, TrainSpec) else ends[1:]:
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
