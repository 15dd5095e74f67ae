"""A real child process and small jobs for it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emeth.data.data import Source

PYTHON_DIR = Path(__file__).parent.parent
# Starting Python with PyTorch and ending it again may take a busy machine this long.
PATIENCE_SECONDS = 300
Json = dict[str, Any]


def make_params(**changes: object) -> Json:
    """Complete parameters of a tiny job; `model` and the other groups are merged."""
    params: Json = {
        "program": "lm",
        "tune": "none",
        "model": {"family": "gpt2", "layers": 2, "heads": 2, "width": 32, "context": 16, "dropout": 0},
        "tokenizer": {"type": "byte"},
        "data": {"format": "auto", "skipBroken": 0, "language": "auto", "loss": "auto"},
        "gradientCheckpointing": False,
        "accumulate": 1,
        "seed": 1,
        "epochs": 1,
        "batch": 4,
        "validation": 0.1,
        "round": {"steps": 8},
        "inner": {
            "lr": 3e-3,
            "minLrRatio": 0.1,
            "warmup": 0.02,
            "weightDecay": 0.1,
            "beta1": 0.9,
            "beta2": 0.95,
            "clip": 1,
            "optimiser": "adamw",
            "muonLr": 0.02,
            "muonMomentum": 0.95,
        },
        "outer": {"lr": 1, "momentum": 0.5},
        "audit": {"rate": 0.05},
        "minGain": 0.01,
        "codec": "int8",
        "precision": "auto",
    }
    return _changed(params, changes)


def _changed(params: Json, changes: Mapping[str, object]) -> Json:
    for name, value in changes.items():
        params[name] = params[name] | value if isinstance(value, dict) and name != "tokenizer" else value
    return params


def base_params(**changes: object) -> Json:
    """Complete parameters of a tiny job that starts from a base, tuned in full unless said otherwise."""
    params = make_params() | {
        "tune": "full",
        "base": f"sha256:{'0' * 64}",
        "model": {"context": 16, "dropout": 0},
        "tokenizer": {"type": "base"},
    }
    if changes.get("tune") == "lora":
        params["lora"] = {"r": 8, "alpha": 16, "dropout": 0, "targets": "auto", "merge": False}
    return _changed(params, changes)


def coordinate_spec(work_dir: Path, base: Path | None = None, **changes: object) -> Json:
    """Spec of a `coordinate` child; a job with a base says where it lies."""
    shared = {"kind": "coordinate", "device": "cpu", "threads": 1, "workDir": str(work_dir), "jobId": "0xab"}
    if base is None:
        return shared | {"params": make_params(**changes)}
    return shared | {"params": base_params(**changes), "base": str(base)}


def count_spec(work_dir: Path, dataset: str, **changes: object) -> Json:
    """Spec of a `count` child."""
    shared = {"kind": "count", "device": "cpu", "threads": 1, "workDir": str(work_dir), "dataset": dataset}
    return shared | {"params": make_params(**changes), "maxBytes": 10**9}


def train_spec(
    work_dir: Path,
    total_blocks: int = 64,
    micro_batch: int = 4,
    processes: int = 1,
    base: Path | None = None,
    **changes: object,
) -> Json:
    """Spec of a `train` child for a byte job."""
    return coordinate_spec(work_dir, base, **changes) | {
        "kind": "train",
        "vocabSize": 256,
        "totalBlocks": total_blocks,
        "microBatch": micro_batch,
        "processes": processes,
    }


class ForkServer:
    """Forks children from one process with PyTorch in memory, which is seconds faster than starting each."""

    def __init__(self, socket: Path) -> None:
        server = PYTHON_DIR / "tests" / "fork_server.py"
        self.command = [sys.executable, "-S", "-E", str(server), str(socket)]
        self.process = subprocess.Popen(
            [sys.executable, str(server), str(socket), "serve"],
            env=os.environ | {"PYTHONPATH": str(PYTHON_DIR)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def close(self) -> None:
        """End it, and all children with it."""
        self.process.communicate()


fork_server: ForkServer | None = None


def _needs_transformers(spec: Json | str) -> bool:
    params = spec.get("params", {}) if isinstance(spec, dict) else {}
    return "base" in params or params.get("model", {}).get("family") == "llama"


class Child:
    """`python -m emeth` with stdin and descriptor 3 held by the test; a fresh interpreter on demand."""

    def __init__(self, spec: Json | str, fresh: bool = False, env: dict[str, str] | None = None) -> None:
        read_end, write_end = os.pipe()
        script = 'exec 3>&"$0"; exec "$@"'
        command = [sys.executable, "-m", "emeth"] if fresh or env or fork_server is None else fork_server.command
        preload = {"EMETH_TEST_PRELOAD": "emeth.models.lora"} if _needs_transformers(spec) else {}
        self.process = subprocess.Popen(
            ["bash", "-c", script, str(write_end), *command],
            cwd=PYTHON_DIR,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[write_end],
            env=os.environ | preload | (env or {}),
        )
        os.close(write_end)
        self._events = os.fdopen(read_end, "rb")
        self._last_id = 0
        self.write(spec if isinstance(spec, str) else json.dumps(spec))

    def write(self, line: str) -> None:
        """Send one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def send(self, kind: str, **fields: object) -> int:
        """Send a command without waiting; returns its id."""
        self._last_id += 1
        self.write(json.dumps({"type": kind, "id": self._last_id, **fields}))
        return self._last_id

    def event(self) -> Json:
        """The next event; fails when the child ended instead."""
        line = self._events.readline()
        assert line, self.end_of_child()
        result: Json = json.loads(line)
        return result

    def answer(self) -> Json:
        """The next event that is not progress."""
        while (event := self.event())["type"] in ("progress", "preparing"):
            pass
        return event

    def ask(self, kind: str, **fields: object) -> Json:
        """Send a command and return its answer."""
        command_id = self.send(kind, **fields)
        answer = self.answer()
        assert answer["id"] == command_id, answer
        return answer

    def close(self) -> int:
        """End of stdin; returns the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.end()

    def end(self) -> int:
        """Wait until it ends by itself; returns the exit status."""
        return self.process.wait(PATIENCE_SECONDS)

    def end_of_child(self) -> str:
        """What a child that ended by itself wrote to stderr."""
        assert self.process.stderr is not None
        return f"status {self.end()}: {self.process.stderr.read().decode()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stderr, self._events):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


def source(dataset: Path, work_dir: Path, max_bytes: int = 10**9) -> Source:
    """A data set as `prepare` is given it."""
    return Source(dataset=str(dataset), max_bytes=max_bytes, work_dir=str(work_dir))


def sample_text(num_bytes: int = 8000) -> bytes:
    """English-looking text in paragraphs."""
    words = ["the", "whale", "sea", "ship", "captain", "of", "and", "a", "in", "to"]
    words += ["sailed", "white", "deep", "oil", "night", "wind"]
    state, parts, length = 7, [], 0
    while length < num_bytes:
        state = (state * 1103515245 + 12345) % 2**31
        word = words[state >> 16 & 15] + ("\n\n" if state % 29 == 0 else " ")
        parts.append(word)
        length += len(word)
    return "".join(parts).encode()[:num_bytes]
