"""Python children without the seconds that importing PyTorch takes: each is forked from a process that has it.

fork_server.py SOCKET serve  the process with PyTorch in memory, loaded for the first child; prints a line first
fork_server.py SOCKET        stands for `python -m emeth`: hands over what it has, waits for the exit status
"""

import array
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path


def main() -> int:
    path, *command = sys.argv[1:]
    return serve(path) if command == ["serve"] else ask(path)


def ask(path: str) -> int:
    """Have a child forked that uses the four streams, the environment and the directory of this process."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        server.sendmsg([b"go"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2, 3]))])
        server.sendall(json.dumps({"env": dict(os.environ), "dir": str(Path.cwd())}).encode() + b"\n")
        for fd in (0, 1, 2, 3):
            os.close(fd)
        status = int(server.recv(16) or b"1")
    if status < 0:
        os.kill(os.getpid(), -status)
    return status


def load() -> None:
    """Import what children need; without effect after the first time."""
    for name in ("emeth.children.coordinate", "emeth.rounds.train", "torch._dynamo", "emeth.models.lora"):
        importlib.import_module(name)


def serve(path: str) -> int:
    """Fork a child for each connection; end one whose connection ends, and all of them with stdin."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    children: dict[socket.socket, int] = {}
    while True:
        readable, _, _ = select.select([sys.stdin, listener, *children], [], [], 0.02 if children else None)
        for source in readable:
            if source is sys.stdin:
                for pid in children.values():
                    os.kill(pid, signal.SIGKILL)
                return 0
            if source is listener:
                load()
                connection = listener.accept()[0]
                children[connection] = fork(connection, listener)
            else:
                os.kill(children[source], signal.SIGKILL)
        for connection, pid in list(children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del children[connection]
                finish(connection, os.waitstatus_to_exitcode(status))


def finish(connection: socket.socket, status: int) -> None:
    """Report the exit status, or the signal as a negative number; the other side may be gone."""
    with suppress(OSError):
        connection.send(str(status).encode())
    connection.close()


def take_over(env: dict[str, str], dir: str) -> None:
    """Make the surroundings of the asking process this one's."""
    import torch

    os.environ.clear()
    os.environ.update(env)
    os.chdir(dir)
    if "OMP_NUM_THREADS" in env:
        torch.set_num_threads(int(env["OMP_NUM_THREADS"]))


def fork(connection: socket.socket, listener: socket.socket) -> int:
    """Start a child on the streams that the connection brings."""
    fds = array.array("i")
    for _, _, data in connection.recvmsg(2, socket.CMSG_SPACE(4 * fds.itemsize))[1]:
        fds.frombytes(data)
    with connection.makefile() as lines:
        surroundings = json.loads(lines.readline())
    # What takes seconds to import and only some children need: once, for the first that asks for it.
    for name in surroundings["env"].get("EMETH_TEST_PRELOAD", "").split():
        importlib.import_module(name)
    pid = os.fork()
    if pid:
        for fd in fds:
            os.close(fd)
        return pid
    # Never back into the server's loop, whatever happens.
    status = 70
    try:
        take_over(**surroundings)
        # Out of the way of the descriptors they are to become.
        high = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
        listener.close()
        connection.close()
        for i, fd in enumerate(high):
            os.dup2(fd, i)
        os.closerange(4, 256)
        sys.stdin = os.fdopen(0, "r", closefd=False)
        from emeth.__main__ import main as run_child

        status = run_child()
    except BaseException as error:
        print(repr(error), file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
