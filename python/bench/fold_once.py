"""One fold in a process of its own, of whichever build PYTHONPATH names: what bench/fold.py measures.

Prints its seconds, those of the processor, and how many MiB the process grew to beyond its start, as JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch

from emeth.files.tensors import TensorSpec, sha256_of
from emeth.rounds import device
from emeth.rounds.fold import fold
from emeth.wire.commands import Fold, WeightedUpdate
from emeth.wire.params import OuterParams


def peak_mib() -> float:
    """The most memory this process has held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Fold the round that the first argument describes."""
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    if hasattr(device, "keep_freed_memory"):  # as the child of this build does
        device.keep_freed_memory()
    layout = {name: TensorSpec("F32", tuple(shape)) for name, shape in task["layout"].items()}
    folder = task["folder"]
    command = Fold(
        type="fold",
        id=1,
        theta=f"{folder}/theta",
        outer=f"{folder}/outer" if task["outer"] else None,
        updates=tuple(WeightedUpdate(path=path, weight=1.0 + i) for i, path in enumerate(task["updates"])),
        scale=1,
        theta_out=f"{folder}/theta-out",
        outer_out=f"{folder}/outer-out",
        delta_out=f"{folder}/delta-out",
    )
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
    before, began, worked = peak_mib(), time.monotonic(), time.process_time()
    done = fold(command, task["codec"], layout, OuterParams(lr=1, momentum=0.5))
    seconds, processor = time.monotonic() - began, time.process_time() - worked
    hashes = [done.theta.sha256, sha256_of(command.outer_out), done.delta.sha256]
    print(json.dumps({"seconds": seconds, "processor": processor, "peak": peak_mib() - before, "hashes": hashes}))


if __name__ == "__main__":
    main()
