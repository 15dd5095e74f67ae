"""Preparing a JSONL of conversations (reading, checking, rendering, tokens, masks, files) against tokenizing alone."""

import statistics
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.bases import GPT2_VOCABULARY, open_base, open_chats, open_tokenizer
from bench.measures import Measure
from bench.sides import Peer, Work
from tests.child import Child, coordinate_spec

_MIB = 1 << 20
_LOOK_SECONDS = 0.05
# What a coordinating child may hold while it reads data of any size.
_MOST_MIB = 400


def measure_tokenising(folder: Path, num_bytes: int, pairs: int, short: bool) -> list[Measure]:
    """Bytes per second of `prepare` ÷ those of `tokenizers`, and the most memory that it took."""
    chats = open_chats(num_bytes)
    work = Work("lora", open_base("gpt2", short), GPT2_VOCABULARY, context=256, batch=4)
    ours, theirs, peaks = [], [], []
    with Peer("peer_tokenizers.py", [str(open_tokenizer()), str(chats)], work.threads) as peer:
        peer.work_on("warm up")
        for i in range(pairs):
            seconds, peak = _prepare(folder / f"prepare-{i}", work, chats)
            ours.append(num_bytes / seconds / 1e6)
            theirs.append(num_bytes / peer.run("again").seconds / 1e6)
            peaks.append(peak / _MIB)
    size = f"tokenising {num_bytes / 1e6:.0f} MB of JSONL chat"
    rates = statistics.median(ours), statistics.median(theirs)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return [
        Measure(f"{size} ÷ tokenizers alone, {work.threads} thread", *rates, "MB/s", 0.7, ratios=ratios),
        Measure(f"{size} ÷ {_MOST_MIB} MiB", max(peaks), _MOST_MIB, "MiB at most", 1, at_most=True),
    ]


def _prepare(work_dir: Path, work: Work, chats: Path) -> tuple[float, int]:
    """Seconds from command to answer in a fresh child, and the most memory that it and its processes held."""
    work_dir.mkdir(parents=True)
    spec = coordinate_spec(work_dir) | {"params": work.params(), "base": str(work.base), "threads": work.threads}
    with Child(spec, fresh=True) as child:
        child.event()
        with MemoryWatch(child.process.pid) as watch:
            began = time.monotonic()
            answer = child.ask("prepare", dataset=str(chats), maxBytes=1 << 40)
            seconds = time.monotonic() - began
    if answer["type"] != "prepared":
        raise SystemExit(f"The data were refused: {answer}")
    return seconds, watch.most


class MemoryWatch:
    """Looks again and again at what a process and those that it started hold; shared pages count once."""

    def __init__(self, pid: int) -> None:
        self.most = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self.most = max(self.most, sum(map(_held_bytes, _family(self._pid))))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()


def _family(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    except OSError:
        return []
    return [pid, *(member for child in children for member in _family(child))]


def _held_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
