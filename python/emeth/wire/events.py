"""The two streams to the parent: commands arrive on stdin, events leave as JSON lines on a descriptor of their own.

Stdout and stderr stay free for logs, so that a print of some library cannot corrupt the stream.
"""

import json
import os
import queue
import threading
from typing import BinaryIO

EVENTS_FD = 3


class Failure(Exception):
    """A command cannot be done; the child lives on. `code` is `room/reason`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InboxClosed(Exception):
    """The parent closed stdin: stop whatever is running and exit."""


class Outbox:
    """Writes events, whole lines at a time."""

    def __init__(self, fd: int = EVENTS_FD) -> None:
        os.fstat(fd)
        self._fd = fd

    def emit(self, kind: str, **fields: object) -> None:
        """Send an event to the parent. Numbers must be finite: JSON has no NaN."""
        line = json.dumps({"type": kind, **fields}, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        while line:
            line = line[os.write(self._fd, line) :]


class Inbox:
    """Lines of stdin, collected by a thread so that a running command can look for newer ones."""

    def __init__(self, stream: BinaryIO) -> None:
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._peeked: list[bytes] = []
        self._closed = threading.Event()
        threading.Thread(target=self._read, args=(stream,), name="inbox", daemon=True).start()

    def first_line(self) -> bytes:
        """The spec; it counts even when stdin has ended right behind it. Empty when there is none."""
        return self._lines.get() or b""

    def next_line(self) -> bytes:
        """The next command; waits. Raises InboxClosed at the end of stdin."""
        self.check_open()
        if self._peeked:
            return self._peeked.pop(0)
        line = self._lines.get()
        if line is None:
            raise InboxClosed
        return line

    def next_line_within(self, seconds: float) -> bytes | None:
        """The next command, if one comes in time. Raises InboxClosed at the end of stdin."""
        self.check_open()
        if self._peeked:
            return self._peeked.pop(0)
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if line is None:
            raise InboxClosed
        return line

    def waiting_lines(self) -> list[bytes]:
        """Commands that have arrived and are still to be taken by `next_line`. Raises InboxClosed."""
        self.check_open()
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self._peeked.append(line)
        return self._peeked

    def discard(self, line: bytes) -> None:
        """Forget a waiting command that has been dealt with."""
        self._peeked.remove(line)

    def check_open(self) -> None:
        """Raises InboxClosed when the parent is gone; called inside long loops."""
        if self._closed.is_set():
            raise InboxClosed

    def _read(self, stream: BinaryIO) -> None:
        for line in stream:
            if line.strip():
                self._lines.put(line)
        self._closed.set()
        self._lines.put(None)
