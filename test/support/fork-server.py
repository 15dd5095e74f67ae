"""Python children without the seconds that importing PyTorch takes: each is forked from a process that has it.

    fork-server.py SOCKET serve     the process with PyTorch in memory; prints a line when it is ready
    fork-server.py SOCKET -m emeth  stands for `python -m emeth`: hands its streams over and waits for the exit status
"""

import array
import os
import select
import signal
import socket
import sys


def main() -> int:
    path, *command = sys.argv[1:]
    return serve(path) if command == ["serve"] else ask(path)


def ask(path: str) -> int:
    """Have a child forked that uses the four streams of this process."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        server.sendmsg([b"go"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2, 3]))])
        for fd in (0, 1, 2, 3):
            os.close(fd)
        return int(server.recv(16) or b"1")


def serve(path: str) -> int:
    """Fork a child for each connection; end one whose connection ends, and all of them with stdin."""
    import emeth.children.coordinate
    import emeth.rounds.train
    import torch._dynamo  # noqa: F401 - what the first use of many functions imports

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
    """Report the exit status; the other side may be gone."""
    try:
        connection.send(str(status if status >= 0 else 1).encode())
    except OSError:
        pass
    connection.close()


def fork(connection: socket.socket, listener: socket.socket) -> int:
    """Start a child on the streams that the connection brings."""
    fds = array.array("i")
    for _, _, data in connection.recvmsg(2, socket.CMSG_SPACE(4 * fds.itemsize))[1]:
        fds.frombytes(data)
    pid = os.fork()
    if pid:
        for fd in fds:
            os.close(fd)
        return pid
    # Never back into the server's loop, whatever happens.
    status = 70
    try:
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
    except BaseException as error:  # noqa: BLE001
        print(repr(error), file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
