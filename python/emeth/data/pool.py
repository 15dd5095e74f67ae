"""Processes that work on batches side by side. Answers come in the order of the batches, whoever is faster.

Each process is a fresh interpreter with numpy and a tokenizer in it, and asks nothing of the one that started it. With
one process everything is done in this one.
"""

import json
import os
import queue
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from typing_extensions import Self

from emeth.data.work import Header, do
from emeth.wire.events import Failure

Batch = tuple[Header, bytes]
_LENGTHS = struct.Struct("<II")
_PACKAGES = str(Path(__file__).parent.parent.parent)


class Pool:
    """Up to `processes` workers, started when there is more than one batch for them."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._workers: list[subprocess.Popen[bytes]] = []
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(processes)

    def map(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The answer to each batch, in order. A few are under way at once. Raises Failure."""
        if self._processes == 1:
            yield from (do(*batch) for batch in batches)
            return
        pending: deque[Future[Batch]] = deque()
        for batch in batches:
            pending.append(self._threads.submit(self._ask, *batch))
            if len(pending) > 2 * self._processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.wait()
            for stream in (worker.stdin, worker.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()

    def _ask(self, header: Header, data: bytes) -> Batch:
        worker = self._take()
        assert worker.stdin is not None and worker.stdout is not None  # noqa: S101 - both are pipes
        try:
            _write(worker.stdin, header, data)
            answer = _read(worker.stdout)
        except (BrokenPipeError, EOFError) as error:
            # It was killed, most likely for want of memory.
            raise MemoryError("a process that prepared data has ended") from error
        self._idle.put(worker)
        if "failure" in answer[0]:
            raise Failure(*answer[0]["failure"])
        return answer

    def _take(self) -> subprocess.Popen[bytes]:
        """An idle worker, or a new one. As many threads ask as there may be workers."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            worker = subprocess.Popen(
                [sys.executable, "-c", "from emeth.data.pool import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": _PACKAGES, "TOKENIZERS_PARALLELISM": "false"},
            )
            self._workers.append(worker)
            return worker


def serve() -> None:
    """Answer requests on stdin until it ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            header, data = _read(requests)
        except EOFError:
            return
        try:
            header, data = do(header, data)
        except Failure as failure:
            header, data = {"failure": [failure.code, str(failure)]}, b""
        _write(answers, header, data)


def _write(stream: IO[bytes], header: Header, data: bytes) -> None:
    head = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(head), len(data)) + head)
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> Batch:
    head_bytes, data_bytes = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    header: Header = json.loads(_exactly(stream, head_bytes))
    return header, _exactly(stream, data_bytes)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
