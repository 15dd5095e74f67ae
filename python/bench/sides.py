"""The two sides of a comparison, each a process of its own that is kept over all rounds: our child, and a peer.

Both train the same blocks of tokens. A run tells what it took: seconds of the clock, seconds of the processor (which
other work on the machine disturbs less), and the most memory that the process ever held. Starting, loading and a first
run for warming up are not counted.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from bench.measures import most_bytes
from emeth.files.codec import raw
from emeth.files.tensors import FileRef, TensorSpec, write_tensors
from emeth.models.program import Program, open_program
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.child import Child, Json, coordinate_spec, make_params

_TICKS = os.sysconf("SC_CLK_TCK")
# Ids that the bases' tokenizer knows.
_HIGHEST_ID = 16000


@dataclass(frozen=True)
class Work:
    """What both sides train."""

    tune: str
    base: Path
    vocab_size: int
    context: int
    batch: int = 1
    precision: str = "fp32"
    checkpointing: bool = False
    threads: int = 1
    # The layers that our adapter is on, for a peer that has to be told.
    adapted: tuple[str, ...] = ()

    def params(self) -> Json:
        """The parameters of such a job."""
        changes: dict[str, object] = {"tune": self.tune, "base": f"sha256:{'0' * 64}", "tokenizer": {"type": "base"}}
        changes |= {"batch": self.batch, "precision": self.precision, "gradientCheckpointing": self.checkpointing}
        if self.tune == "lora":
            changes["lora"] = None
        params = make_params(**changes)
        params["model"] = {"context": self.context, "dropout": 0}
        if self.tune == "lora":
            params["lora"] = {"r": 8, "alpha": 16, "dropout": 0, "targets": "auto", "merge": False}
        return params

    def program(self) -> Program:
        """The model as our own code has it."""
        return open_program(parse(Params, self.params()), self.vocab_size, str(self.base))

    def tokens(self, steps: int) -> int:
        """Tokens in so many steps."""
        return steps * self.batch * self.context


@dataclass(frozen=True)
class Run:
    """What one run cost."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class Side:
    """A process that works when it is told."""

    pid: int

    def work_on(self, path: str) -> None:
        """Train the blocks of a shard, or do whatever else it is there for."""
        raise NotImplementedError

    def run(self, path: str) -> Run:
        """Work, and tell what it took."""
        began, used = time.monotonic(), cpu_seconds(self.pid)
        self.work_on(path)
        return Run(time.monotonic() - began, cpu_seconds(self.pid) - used, most_bytes(self.pid))


class OurChild(Side):
    """The child that workers run, fed over its pipes: from command to answer, update and hashes included."""

    def __init__(self, folder: Path, work: Work) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.theta = write_theta(folder / "theta", work.program())
        facts = {"kind": "train", "vocabSize": work.vocab_size, "totalBlocks": 1000, "microBatch": work.batch}
        spec = coordinate_spec(folder) | facts | {"params": work.params(), "base": str(work.base)}
        self._child = Child(spec | {"threads": work.threads}, env=_environment(work.threads))
        self.pid = self._child.process.pid
        ready = self._child.event()
        if ready["type"] != "ready":
            raise SystemExit(f"The child did not start: {ready}")

    def work_on(self, path: str) -> None:
        theta = {"path": self.theta.path, "sha256": self.theta.sha256}
        command = {"round": 0, "start": 0, "shard": path, "theta": theta, "out": str(self.update)}
        answer = self._child.ask("round.run", **command)
        if answer["type"] != "round.done":
            raise SystemExit(f"The child failed: {answer}")

    @property
    def update(self) -> Path:
        """The last run's update, as it goes to the master."""
        return self._folder / "update"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._child.__exit__()


class Peer(Side):
    """A script beside this one that does the same without our code, or as one would by hand."""

    def __init__(self, script: str, arguments: list[str], threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(script)), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(threads),
        )
        self.pid = self._process.pid
        self._await("ready")

    def work_on(self, path: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        self._await("done")

    def _await(self, word: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == word:
                return
        raise SystemExit(f"The peer ended with status {self._process.wait()}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()


def peer_of(script: str, work: Work) -> Peer:
    """A peer that trains."""
    return Peer(script, [json.dumps({**vars(work), "base": str(work.base)})], work.threads)


def serve(work_on: Callable[[str], None]) -> None:
    """What a peer's script does: work on each path that stdin names."""
    print("ready", flush=True)
    for line in sys.stdin:
        work_on(line.strip())
        print("done", flush=True)


def work_of(argument: str) -> Work:
    """The work that a peer was started with."""
    fields = json.loads(argument)
    return Work(**{**fields, "base": Path(fields["base"]), "adapted": tuple(fields["adapted"])})


def write_theta(path: Path, program: Program) -> FileRef:
    """The weights that training begins with."""
    return write_tensors(str(path), program.layout, (raw(tensor) for _, tensor in program.initial(0)))


def write_blocks(path: Path, work: Work, steps: int) -> str:
    """Write random blocks, as the shard of a lease."""
    shape = (steps, work.batch, work.context + 1)
    tokens = np.random.default_rng(0).integers(0, min(work.vocab_size, _HIGHEST_ID), shape, dtype=np.uint16)
    return write_tensors(str(path), {"tokens": TensorSpec("U16", shape)}, [tokens]).path


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _environment(threads: int) -> dict[str, str]:
    own = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(Path(__file__).parent.parent)}
    return {**os.environ, **own, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def in_turn(ours: Side, theirs: Side, path: str, warm_up: str, pairs: int) -> list[tuple[Run, Run]]:
    """Runs of both sides, in turn; who comes first changes."""
    for side in (ours, theirs):
        side.work_on(warm_up)
    found = []
    for i in range(pairs):
        order = (ours, theirs) if i % 2 == 0 else (theirs, ours)
        runs = {id(side): side.run(path) for side in order}
        found.append((runs[id(ours)], runs[id(theirs)]))
    return found


def adapted_layers(work: Work) -> tuple[str, ...]:
    """Names of the layers that our adapter is on."""
    return tuple(sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in work.program().layout}))
