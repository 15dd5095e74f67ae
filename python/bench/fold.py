"""Speed and memory of codecs and fold, beside a plain copy of as many fp32 numbers in the same process and threads.

    npm run bench:fold -- [--parameters 50e6] [--updates 1 2 8 32]

Codecs run on one thread, as each thread of a fold works alone, and their seconds are the processor's. A fold runs on
all threads, in a process of its own, and goes on from an outer state; its numbers are those of all updates together.
Its memory is what the process grew to beyond its start, beside the size of θ.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.measures import Measure, most_bytes, report, show
from emeth.files.codec import CHUNK, chunks, encode_file, write_theta
from emeth.files.codecs.names import CODECS
from emeth.files.codecs.protocol import Codec
from emeth.files.tensors import TensorSpec
from emeth.rounds.device import keep_freed_memory
from emeth.rounds.fold import fold
from emeth.wire.commands import Fold, WeightedUpdate
from emeth.wire.params import OuterParams

Clock = Callable[[], float]

_PAIRS = 5
_TENSORS = 8
_WIDTH = 1024
_MIB = 1 << 20


def beside_copy(name: str, values: torch.Tensor, work: Callable[[], object], clock: Clock, times: int = 1) -> Measure:
    """GB/s of fp32 numbers ÷ those of copying the values so many times, in turn; the first pair is not counted."""
    out = torch.empty_like(values)

    def copy() -> None:
        for _ in range(times):
            out.copy_(values)

    def seconds_of(run: Callable[[], object]) -> float:
        began = clock()
        run()
        return clock() - began

    pairs = [(seconds_of(work), seconds_of(copy)) for _ in range(_PAIRS + 1)][1:]
    gigabytes = 4e-9 * values.numel() * times
    ours, theirs = (gigabytes / statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    return Measure(name, ours, theirs, "GB/s", ratios=[other / mine for mine, other in pairs])


def measure_codecs(count: int) -> Iterator[Measure]:
    """Both directions of each codec but fp32, which is a copy."""
    torch.set_num_threads(1)
    values, out = torch.randn(count), torch.empty(CHUNK)
    for name, codec in ((name, codec) for name, codec in CODECS.items() if name != "fp32"):
        parts = [codec.encode(values[start:end]) for start, end in chunks(count)]

        def encode(codec: Codec = codec) -> None:
            for start, end in chunks(count):
                codec.encode(values[start:end])

        def decode(codec: Codec = codec, parts: list[tuple[torch.Tensor, ...]] = parts) -> None:
            for start, end in chunks(count):
                codec.decode(parts[start // CHUNK], out[: end - start])

        yield beside_copy(f"{name}, encoding ÷ copy", values, encode, time.process_time)
        yield beside_copy(f"{name}, decoding ÷ copy", values, decode, time.process_time)


def layout_of(count: int) -> dict[str, TensorSpec]:
    """A model of about so many numbers in equal tensors."""
    return {f"layer{i}": TensorSpec("F32", (count // _TENSORS // _WIDTH, _WIDTH)) for i in range(_TENSORS)}


def measure_fold(folder: str, count: int, num_updates: int) -> list[Measure]:
    """Speed and memory of a fold; in a process of its own."""
    keep_freed_memory()
    layout = layout_of(count)
    numbers = sum(spec.count for spec in layout.values())
    updates = (WeightedUpdate(path=f"{folder}/update", weight=1.0),) * num_updates

    def run(before: int) -> None:
        outs = {f"{name}_out": f"{folder}/{name}{before + 1}" for name in ("theta", "outer", "delta")}
        outer = f"{folder}/outer{before}" if before else None
        theta = f"{folder}/theta{before}"
        command = Fold(type="fold", id=1, theta=theta, outer=outer, updates=updates, scale=1, **outs)
        fold(command, "int8", layout, OuterParams(lr=1, momentum=0.5))

    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
    start = most_bytes()
    run(0)
    run(1)
    grown = most_bytes() - start
    name = f"fold of {num_updates} int8 updates, {numbers / 1e6:.0f}M numbers"
    speed = beside_copy(f"{name} ÷ copy", torch.randn(numbers), lambda: run(1), time.monotonic, num_updates)
    return [speed, Measure(f"{name}, memory ÷ θ", grown / _MIB, 4 * numbers / _MIB, "MiB at most")]


def measure_folds(count: int, updates: list[int]) -> Iterator[Measure]:
    """Folds of several numbers of updates."""
    layout = layout_of(count)
    with tempfile.TemporaryDirectory() as folder:
        write_theta(f"{folder}/theta0", layout, {name: torch.randn(spec.shape) for name, spec in layout.items()})
        encode_file(f"{folder}/update", "int8", layout, lambda name: 0.01 * torch.randn(layout[name].shape))
        for num in updates:
            with get_context("spawn").Pool(1) as pool:
                yield from pool.apply(measure_fold, (folder, count, num))


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=float, default=50e6, help="numbers of the model")
    parser.add_argument("--updates", type=int, nargs="+", default=[1, 2, 8, 32], help="updates of a fold")
    options = parser.parse_args()
    keep_freed_memory()
    count = int(options.parameters)
    found = [show(measure) for measure in measure_codecs(count)]
    found += map(show, measure_folds(count, options.updates))
    report(found, {"parameters": count})


if __name__ == "__main__":
    main()
