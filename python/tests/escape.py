"""What a Python child could try against its owner, for `test/integration/runner/escape.test.ts`.

escape.py FACTS  runs every attempt and prints {name: what it gained, or null}; FACTS is JSON about the machine outside.
Nothing here does harm where it succeeds: files are read, opened or touched in a scratch directory of the test.
"""

import contextlib
import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emeth.wire.limits import apply_limits

libc = ctypes.CDLL(None, use_errno=True)
Facts = dict[str, Any]
attempts: dict[str, Callable[[Facts], object]] = {}


def attempt(work: Callable[[Facts], object]) -> Callable[[Facts], object]:
    """Collect an attempt; it succeeds by returning something true."""
    attempts[work.__name__.replace("_", " ")] = work
    return work


def secret_in(path: str | Path, facts: Facts) -> bool:
    return facts["secret"].encode() in Path(path).read_bytes()


def opens_to_write(path: str | Path) -> bool:
    os.close(os.open(path, os.O_WRONLY))
    return True


def call(name: str, *args: object) -> bool:
    """A function of libc that answers 0, or raises."""
    if getattr(libc, name)(*args) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True


# Files


@attempt
def read_the_key(facts: Facts) -> bool:
    return secret_in(facts["key"], facts)


@attempt
def read_the_queue(facts: Facts) -> bool:
    return secret_in(facts["queue"], facts)


@attempt
def read_another_job(facts: Facts) -> bool:
    return secret_in(facts["other"], facts)


@attempt
def read_a_blob_that_was_not_handed_over(facts: Facts) -> bool:
    return secret_in(facts["blob"], facts)


@attempt
def list_the_data_directory(facts: Facts) -> bool:
    return Path(facts["key"]).name in os.listdir(Path(facts["key"]).parent)  # noqa: PTH208


@attempt
def read_the_accounts_of_the_machine(facts: Facts) -> bool:
    return "root:" in Path("/etc/passwd").read_text(encoding="utf8")


@attempt
def read_through_a_symbolic_link(facts: Facts) -> bool:
    link = Path(facts["workDir"]) / "link"
    link.symlink_to(facts["key"])
    return secret_in(link, facts)


@attempt
def read_through_a_hard_link(facts: Facts) -> bool:
    link = Path(facts["workDir"]) / "hard"
    os.link(facts["key"], link)
    return secret_in(link, facts)


@attempt
def read_through_dots(facts: Facts) -> bool:
    return secret_in(f"{facts['workDir']}/../../{Path(facts['key']).name}", facts)


@attempt
def read_through_the_root_of_this_process(facts: Facts) -> bool:
    return secret_in("/proc/self/root" + facts["key"], facts)


@attempt
def read_through_the_root_of_the_first_process(facts: Facts) -> bool:
    return secret_in("/proc/1/root" + facts["key"], facts)


@attempt
def read_through_the_root_of_another_process(facts: Facts) -> bool:
    return secret_in(f"/proc/{facts['victim']}/root{facts['key']}", facts)


@attempt
def read_shared_memory(facts: Facts) -> bool:
    return secret_in(facts["shm"], facts)


@attempt
def write_into_the_data_directory(facts: Facts) -> bool:
    (Path(facts["key"]).parent / "planted").write_bytes(b"x")
    return True


@attempt
def write_through_a_symbolic_link(facts: Facts) -> bool:
    link = Path(facts["workDir"]) / "out"
    link.symlink_to(facts["other"])
    return opens_to_write(link)


@attempt
def change_a_file_that_was_handed_over(facts: Facts) -> bool:
    return opens_to_write(facts["handed"])


@attempt
def change_a_handed_file_that_is_open(facts: Facts) -> bool:
    with Path(facts["handed"]).open("rb") as file:
        return opens_to_write(f"/proc/self/fd/{file.fileno()}")


@attempt
def make_a_handed_file_writable(facts: Facts) -> bool:
    Path(facts["handed"]).chmod(0o666)
    return True


@attempt
def take_a_handed_file_into_its_directory(facts: Facts) -> bool:
    target = Path(facts["workDir"]) / "taken"
    os.link(facts["handed"], target)
    return opens_to_write(target)


@attempt
def remove_a_file_that_was_handed_over(facts: Facts) -> bool:
    copy = Path(facts["handed"]).parent / "removable"
    copy.unlink()
    return True


@attempt
def change_a_file_of_its_base(facts: Facts) -> bool:
    file = Path(facts["base"]) / "model.safetensors"
    with contextlib.suppress(OSError):
        file.chmod(0o666)
    return opens_to_write(file)


@attempt
def put_a_file_into_its_base(facts: Facts) -> bool:
    (Path(facts["base"]) / "adapter_config.json").write_bytes(b"x")
    return True


@attempt
def exchange_a_file_of_its_base(facts: Facts) -> bool:
    Path(facts["base"], "config.json").rename(Path(facts["base"], "gone"))
    return True


@attempt
def change_its_own_code(facts: Facts) -> bool:
    return opens_to_write(facts["package"])


@attempt
def change_the_interpreter(facts: Facts) -> bool:
    return opens_to_write(os.__file__)


@attempt
def write_into_the_root_directory(_: Facts) -> bool:
    path = Path("/emeth-escape")
    path.write_bytes(b"x")
    path.unlink()
    return True


@attempt
def read_an_open_file_of_its_parent(facts: Facts) -> bool:
    return facts["secret"].encode() in os.pread(facts["fd"], 100, 0)


# Other programs


@attempt
def connect_by_tcp(facts: Facts) -> bool:
    with socket.create_connection(("127.0.0.1", facts["tcp"]), timeout=5) as server:
        return server.recv(16) != b""


@attempt
def connect_by_tcp_over_ipv6(facts: Facts) -> bool:
    with socket.create_connection(("::1", facts["tcp"]), timeout=5) as server:
        return server.recv(16) != b""


@attempt
def ask_by_udp(facts: Facts) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(5)
        server.connect(("127.0.0.1", facts["udp"]))
        server.send(b"?")
        return server.recv(16) != b""


@attempt
def connect_by_unix_socket(facts: Facts) -> bool:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(facts["unix"])
        return server.recv(16) != b""


@attempt
def connect_by_abstract_socket(facts: Facts) -> bool:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("\0" + facts["abstract"])
        return server.recv(16) != b""


@attempt
def see_the_network(_: Facts) -> bool:
    return any(name != "lo" for _, name in socket.if_nameindex())


@attempt
def see_other_processes(facts: Facts) -> bool:
    return Path(f"/proc/{facts['victim']}").exists()


@attempt
def read_the_variables_of_another_process(facts: Facts) -> bool:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        if path.parent.name != str(os.getpid()):
            try:
                found.append(secret_in(path, facts))
            except OSError:
                continue
    return any(found)


@attempt
def have_the_variables_of_its_parent(facts: Facts) -> bool:
    return facts["secret"] in os.environ.values()


@attempt
def signal_another_process(facts: Facts) -> bool:
    os.kill(facts["victim"], 0)
    return True


@attempt
def signal_the_node(facts: Facts) -> bool:
    os.kill(facts["node"], 0)
    return True


@attempt
def trace_another_process(facts: Facts) -> bool:
    attach, detach = 16, 17
    call("ptrace", attach, facts["victim"], None, None)
    os.waitpid(facts["victim"], 0x40000000)
    return call("ptrace", detach, facts["victim"], None, None)


@attempt
def enter_the_network_of_another_process(facts: Facts) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            with Path(f"/proc/{facts['victim']}/ns/net").open("rb") as space:
                os._exit(0 if call("setns", space.fileno(), 0) else 1)
        except OSError:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


# Privileges


@attempt
def mount(facts: Facts) -> bool:
    point = Path(facts["workDir"]) / "mount"
    point.mkdir()
    call("mount", b"none", bytes(point), b"tmpfs", 0, None)
    return call("umount2", bytes(point), 2)


@attempt
def make_a_user_namespace(_: Facts) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(libc.unshare(0x10000000) != 0)
    return os.waitpid(pid, 0)[1] == 0


@attempt
def make_a_device(facts: Facts) -> bool:
    path = Path(facts["workDir"]) / "null"
    os.mknod(path, 0o20666, os.makedev(1, 3))
    return opens_to_write(path)


@attempt
def open_a_disk(_: Facts) -> bool:
    for name in os.listdir("/dev"):  # noqa: PTH208
        if name.startswith(("vd", "sd", "nvme", "xvd", "dm-", "mem", "kmsg")):
            try:
                os.close(os.open(f"/dev/{name}", os.O_RDONLY | os.O_NONBLOCK))
            except OSError:
                continue
            return True
    return False


@attempt
def change_the_kernel(_: Facts) -> bool:
    return opens_to_write("/proc/sys/kernel/core_pattern")


@attempt
def ask_the_kernel_by_its_magic_key(_: Facts) -> bool:
    return opens_to_write("/proc/sysrq-trigger")


@attempt
def leave_its_control_group(_: Facts) -> bool:
    places = [*Path("/sys/fs/cgroup").glob("cgroup.procs"), *Path("/sys/fs/cgroup").glob("*/cgroup.procs")]
    return any(opens_to_write(path) for path in places)


@attempt
def become_another_user_by_a_program(facts: Facts) -> bool:
    answer = subprocess.run([facts["setuid"], "-u"], capture_output=True, check=True, text=True)
    return int(answer.stdout) != os.getuid()


@attempt
def raise_a_limit(_: Facts) -> bool:
    resource.setrlimit(resource.RLIMIT_CORE, (4096, 4096))
    return True


# Bounds


@attempt
def start_many_processes(facts: Facts) -> bool:
    pids = []
    try:
        while len(pids) < facts["processes"] + 50:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            pids.append(pid)
    except OSError:
        return False
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return True


@attempt
def take_much_memory(facts: Facts) -> bool:
    # Never touched, so that it costs nothing where it is given.
    mmap.mmap(-1, facts["memoryBytes"] + 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    return True


@attempt
def write_a_huge_file(facts: Facts) -> bool:
    path = Path(facts["workDir"]) / "huge"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with path.open("wb") as file:
        file.truncate(2**39)
    path.unlink()
    return True


@attempt
def fill_the_memory_through_tmp(_: Facts) -> bool:
    path = Path("/tmp") / f"emeth-escape-{os.getpid()}"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        os.posix_fallocate(fd, 0, 2**28 + 2**20)
    finally:
        os.close(fd)
        path.unlink()
    return True


@attempt
def leave_a_process_behind(facts: Facts) -> None:
    """The test looks for it once this program has ended."""
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.execv(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(60)", facts["left"]])  # noqa: S606


def main() -> None:
    """Try everything; an attempt that fails raises."""
    apply_limits()
    facts: Facts = json.loads(sys.argv[1])
    gained = {}
    for name, work in attempts.items():
        try:
            gained[name] = bool(work(facts))
        except (OSError, MemoryError, ValueError, subprocess.SubprocessError) as error:
            gained[name] = False
            print(f"{name}: {error}", file=sys.stderr)
    # The process that is left behind has to have begun.
    time.sleep(0.3)
    print(json.dumps(gained))


if __name__ == "__main__":
    main()
