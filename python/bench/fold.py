"""Speed and memory of the codec and the fold, beside a plain memory copy on the same machine in the same run.

    cd python && OMP_NUM_THREADS=1 python bench/fold.py [--parameters 50e6] [--updates 2 8]

GB/s are of fp32 numbers decoded or encoded; the fold's are of the updates' fp32 numbers, all updates together. Each
fold runs in a process of its own; peak memory is what it grew to beyond what PyTorch's import took.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from emeth.files.codec import CHUNK, chunks, encode_file, write_theta
from emeth.files.codecs.names import CODECS
from emeth.files.codecs.protocol import Codec
from emeth.files.tensors import TensorSpec
from emeth.rounds.fold import fold
from emeth.wire.commands import Fold, WeightedUpdate
from emeth.wire.params import OuterParams


def seconds_of(work: Callable[[], object], repeats: int = 3) -> float:
    """The best of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        began = time.monotonic()
        work()
        best = min(best, time.monotonic() - began)
    return best


def bench_codec(count: int) -> None:
    """A copy, then both directions of each codec."""
    scratch = torch.empty(CHUNK)
    values, out = torch.randn(count), torch.empty(count)
    copy = seconds_of(lambda: out.copy_(values))
    print(f"{'copy':<14} {4e-9 * count / copy:>8.2f} GB/s {1:>8.2f}")
    for codec, both in CODECS.items():
        parts = [both.encode(values[a:b]) for a, b in chunks(count)]

        def encode(both: Codec = both) -> None:
            for a, b in chunks(count):
                both.encode(values[a:b])

        def decode(both: Codec = both, parts: list[tuple[torch.Tensor, ...]] = parts) -> None:
            for a, b in chunks(count):
                both.decode(parts[a // CHUNK], scratch[: b - a])

        for name, work in (("encode", encode), ("decode", decode)):
            seconds = seconds_of(work)
            print(f"{codec + ' ' + name:<14} {4e-9 * count / seconds:>8.2f} GB/s {copy / seconds:>8.2f}")


def peak_mib() -> float:
    """The most memory this process has held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def fold_once(folder: str, shape: tuple[int, int], num_updates: int, threads: int) -> tuple[float, float]:
    """Seconds of a second fold (with an outer state), and how many MiB the process grew to beyond its start."""
    torch.set_num_threads(threads)
    layout = {f"layer{i}": TensorSpec("F32", shape) for i in range(8)}
    update = WeightedUpdate(path=f"{folder}/update", weight=1.0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
    before = peak_mib()
    for round_ in (0, 1):
        command = Fold(
            type="fold",
            id=1,
            theta=f"{folder}/theta{round_}",
            outer=f"{folder}/outer1" if round_ else None,
            updates=(update,) * num_updates,
            scale=1,
            theta_out=f"{folder}/theta{round_ + 1}",
            outer_out=f"{folder}/outer{round_ + 1}",
            delta_out=f"{folder}/delta",
        )
        began = time.monotonic()
        fold(command, "int8", layout, OuterParams(lr=1, momentum=0.5))
        seconds = time.monotonic() - began
    return seconds, peak_mib() - before


def bench_fold(count: int, updates: list[int]) -> None:
    """Folds of several widths over a model of eight equal tensors."""
    shape = (count // 8 // 1024, 1024)
    layout = {f"layer{i}": TensorSpec("F32", shape) for i in range(8)}
    numbers = 8 * shape[0] * shape[1]
    with tempfile.TemporaryDirectory() as folder:
        write_theta(f"{folder}/theta0", layout, {name: torch.randn(shape) for name in layout})
        encode_file(f"{folder}/update", "int8", layout, lambda _: 0.01 * torch.randn(shape))
        print(f"\nfold of int8 updates, {numbers / 1e6:.0f}M parameters, θ {4 * numbers / 2**20:.0f} MiB")
        print(f"{'updates':>8} {'seconds':>8} {'GB/s':>8} {'peak MiB':>9}")
        for num in updates:
            with get_context("spawn").Pool(1) as pool:
                seconds, peak = pool.apply(fold_once, (folder, shape, num, torch.get_num_threads()))
            print(f"{num:>8} {seconds:>8.2f} {4e-9 * numbers * num / seconds:>8.2f} {peak:>9.0f}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parameters", type=float, default=50e6)
    parser.add_argument("--updates", type=int, nargs="+", default=[1, 2, 8, 32])
    options = parser.parse_args()
    print(f"threads {torch.get_num_threads()} of {os.cpu_count()}; ratio to copy in the last column")
    bench_codec(1 << 26)
    bench_fold(int(options.parameters), options.updates)


if __name__ == "__main__":
    main()
