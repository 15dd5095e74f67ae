"""Serves OpenStack Swift and its S3 API on loopback, all its files in one directory.

    /usr/bin/python3 serve_swift.py DIRECTORY PORT

Runs with the distribution's Python and its package python3-swift, not with the project's environment.
Two accounts, `test:owner` and `test:stranger`, have the secret `only-for-tests`; the second may do nothing.
"""

import array
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import eventlet

eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True)

from swift.common import utils
from swift.common.ring import RingData
from swift.common.wsgi import run_server

HOST = "127.0.0.1"
STORES = ["account", "container", "object"]
PLAIN_FILTERS = ["catch_errors", "gatekeeper", "listing_formats", "copy", "slo"]
PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
swift_dir = {directory}
[filter:cache]
paste.filter_factory = serve_swift:cache_factory
[filter:tempauth]
use = egg:swift#tempauth
user_test_owner = only-for-tests .admin
user_test_stranger = only-for-tests
[filter:s3api]
use = egg:swift#s3api
""" + "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in PLAIN_FILTERS)
STORE = """
[DEFAULT]
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{kind}
"""
PR_SET_PDEATHSIG = 1


class Cache:
    """Stands in for memcached, which a single proxy does not need."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, **_: Any) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self.values[key] = value

    def delete(self, key: str, **_: Any) -> None:
        self.values.pop(key, None)


def cache_factory(_config: dict[str, str], **_: str) -> Callable[..., Any]:
    cache = Cache()

    def wrap(app: Callable[..., Any]) -> Callable[..., Any]:
        def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return serve

    return wrap


def main(directory: str, port: int) -> None:
    os.dup2(os.open(f"{directory}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.makedirs(f"{directory}/devices/one", exist_ok=True)
    utils.SWIFT_CONF_FILE = f"{directory}/swift.conf"
    utils.HASH_PATH_SUFFIX = b"test"
    sockets = {kind: eventlet.listen((HOST, 0), backlog=1024) for kind in STORES}
    for kind, listening in sockets.items():
        write_ring(directory, kind, listening.getsockname()[1])
    for kind, listening in sockets.items():
        if os.fork() == 0:
            # The stores end with the proxy, whatever ends it.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            run(directory, kind, STORE, listening)
    run(directory, "proxy", PROXY, eventlet.listen((HOST, port), backlog=1024))


def write_ring(directory: str, kind: str, port: int) -> None:
    place = {"ip": HOST, "port": port, "replication_ip": HOST, "replication_port": port}
    device = {"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "one", **place}
    RingData([array.array("H", [0, 0])], [device], 31).save(f"{directory}/{kind}.ring.gz")


def run(directory: str, kind: str, text: str, listening: socket.socket) -> None:
    path = f"{directory}/{kind}.conf"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.format(directory=directory, kind=kind))
    run_server({"__file__": path}, utils.get_logger({}, kind), listening)
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
