"""The mean of all workers' gradients over a server, as plain data-parallel training needs it at every step.

Workers only dial out. What has been computed of a gradient is sent while the rest is computed, and what the server has
of all workers comes back at once. Each direction is one stream of bytes over all steps, so that after a cut both sides
go on where they were: as little is lost as one could ask for.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np

_PIECE = 1 << 18
_RETRY_SECONDS = 0.1
_HELLO = struct.Struct("<IQ")
_PLACE = struct.Struct("<Q")


class MeanServer:
    """Keeps one step: what workers have sent of it, and the mean as far as all have."""

    def __init__(self, workers: int, numbers: int) -> None:
        self._bytes = 4 * numbers
        self._up = np.zeros((workers, numbers), np.float32)
        self._mean = np.zeros(numbers, np.float32)
        self._received = [0] * workers
        self._averaged = 0
        self._changed = threading.Condition()
        self._connections: list[socket.socket | None] = [None] * workers
        self._taking = [threading.Lock() for _ in range(workers)]

    def serve(self, listener: socket.socket) -> None:
        """Answer workers for ever."""
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        _until_cut(connection, partial(self._exchange, connection))

    def _exchange(self, connection: socket.socket) -> None:
        rank, down = _HELLO.unpack(_receive(connection, _HELLO.size))
        before, self._connections[rank] = self._connections[rank], connection
        if before is not None:
            _cut(before)
        # What has arrived of the connection before is taken first, so that no byte is taken twice.
        with self._taking[rank]:
            connection.sendall(_PLACE.pack(self._received[rank]))
            sending = partial(_until_cut, connection, partial(self._send, connection, down))
            threading.Thread(target=sending, daemon=True).start()
            self._take(connection, rank)

    def _take(self, connection: socket.socket, rank: int) -> None:
        place = memoryview(self._up[rank].view(np.uint8))
        while True:
            at = self._received[rank] % self._bytes
            count = connection.recv_into(place[at : at + _PIECE])
            if count == 0:
                return
            with self._changed:
                self._received[rank] += count
                self._average()

    def _average(self) -> None:
        """Go on with the mean up to where all have sent whole numbers."""
        end = min(self._received) // 4 * 4
        if end <= self._averaged:
            return
        step = self._averaged // self._bytes * self._bytes
        part = slice((self._averaged - step) // 4, (end - step) // 4)
        np.mean(self._up[:, part], axis=0, out=self._mean[part])
        self._averaged = end
        self._changed.notify_all()

    def _send(self, connection: socket.socket, at: int) -> None:
        mean = memoryview(self._mean.view(np.uint8))
        while True:
            with self._changed:
                while self._averaged <= at:
                    self._changed.wait()
                end = min(self._averaged, at + _PIECE)
            place = at % self._bytes
            at += connection.send(mean[place : place + end - at])


class MeanClient:
    """A worker's side: hands gradients over piece by piece, and waits for their mean."""

    def __init__(self, port: int, rank: int, numbers: int) -> None:
        self._port, self._rank, self._bytes = port, rank, 4 * numbers
        self.gradient = np.zeros(numbers, np.float32)
        self.mean = np.zeros(numbers, np.float32)
        self._step = self._ready = self._down = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._stay_connected, daemon=True).start()

    def ready(self, numbers: int) -> None:
        """The first so many numbers of this step's gradient are there."""
        with self._changed:
            self._ready = self._step * self._bytes + 4 * numbers
            self._changed.notify_all()

    def wait(self) -> None:
        """Until `mean` is that of this step; then begins the next."""
        with self._changed:
            self._changed.wait_for(lambda: self._down == (self._step + 1) * self._bytes)
            self._step += 1

    def _stay_connected(self) -> None:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self._port))
                connection.sendall(_HELLO.pack(self._rank, self._down))
                (up,) = _PLACE.unpack(_receive(connection, _PLACE.size))
            except OSError:
                time.sleep(_RETRY_SECONDS)
                continue
            sender = threading.Thread(target=_until_cut, args=(connection, partial(self._send, connection, up)))
            sender.start()
            _until_cut(connection, partial(self._take, connection))
            with self._changed:
                self._changed.notify_all()
            sender.join()

    def _send(self, connection: socket.socket, at: int) -> None:
        gradient = memoryview(self.gradient.view(np.uint8))
        while True:
            with self._changed:
                while self._ready <= at and connection.fileno() >= 0:
                    self._changed.wait()
                end = min(self._ready, at + _PIECE)
            place = at % self._bytes
            at += connection.send(gradient[place : place + end - at])

    def _take(self, connection: socket.socket) -> None:
        mean = memoryview(self.mean.view(np.uint8))
        while True:
            at = self._down % self._bytes
            count = connection.recv_into(mean[at : at + _PIECE])
            if count == 0:
                return
            with self._changed:
                self._down += count
                self._changed.notify_all()


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data


def _until_cut(connection: socket.socket, work: Callable[[], None]) -> None:
    with suppress(OSError):
        work()
    _cut(connection)
    connection.close()


def _cut(connection: socket.socket) -> None:
    """End it for a thread that waits for it, too."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
