"""One child against a bare PyTorch loop: same model, batches, precision and threads, in turns in one run.

    cd python && OMP_NUM_THREADS=1 python bench/train_loop.py [--pairs 5] [--device cpu]

The bare loop is what one would write by hand: no schedule, no cancelling, no progress, the tokens on the device
already. The child is a real process fed over its pipes; its time is from command to answer, encoding and hashing
included.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from emeth.files.codec import read_theta, theta_layout, write_theta
from emeth.files.tensors import TensorSpec, write_tensors
from emeth.models.gpt2 import build, count_parameters, initial_tensors, layout
from emeth.wire.parse import parse
from emeth.wire.spec import Params
from tests.child import Child, make_params, train_spec


@dataclass(frozen=True)
class Case:
    """A model and batch to measure."""

    name: str
    model: dict[str, int]
    batch: int
    steps: int


CASES = [
    Case("0.84M, 4 × 128, context 128", {"layers": 4, "heads": 4, "width": 128, "context": 128}, 8, 100),
    Case("10.8M, 6 × 384, context 256", {"layers": 6, "heads": 6, "width": 384, "context": 256}, 4, 10),
]


def bare_seconds(case: Case, device: str, tokens: np.ndarray, theta: Path, steps: int) -> float:
    """Seconds a loop written by hand needs."""
    params = parse(Params, make_params(model=case.model, batch=case.batch))
    shape = params.shape(256)
    model = build(shape, device).train()
    model.load_state_dict(read_theta(str(theta), theta_layout(layout(shape))))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
    blocks = torch.from_numpy(tokens.astype(np.int64)).to(device)
    began = time.monotonic()
    for step in range(steps):
        loss = model(blocks[step, :, :-1], blocks[step, :, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.monotonic() - began


def compare(case: Case, device: str, pairs: int, folder: Path) -> None:
    """Print one row: tokens per second of both, and the median of the pairwise ratios."""
    changes = {"model": case.model, "batch": case.batch, "precision": "fp32"}
    params = parse(Params, make_params(**changes))
    shape = params.shape(256)
    names = theta_layout(layout(shape))
    theta = write_theta(str(folder / "theta"), names, dict(initial_tensors(shape, 0)))
    size = (case.steps, case.batch, shape.context + 1)
    tokens = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    shard = write_tensors(str(folder / "shard"), {"tokens": TensorSpec("U8", size)}, [tokens])
    spec = train_spec(folder, total_blocks=1000, micro_batch=case.batch, **changes) | {"device": device}
    rates, ratios = [], []
    with Child(spec | {"threads": torch.get_num_threads()}) as child:
        child.event()
        for _ in range(pairs + 1):
            bare = bare_seconds(case, device, tokens, Path(theta.path), case.steps)
            command = {"round": 0, "start": 0, "shard": shard.path, "out": str(folder / "update")}
            began = time.monotonic()
            child.ask("round.run", theta={"path": theta.path, "sha256": theta.sha256}, **command)
            ours = time.monotonic() - began
            rates.append((tokens[:, :, 1:].size / bare, tokens[:, :, 1:].size / ours))
            ratios.append(bare / ours)
    bare_rate, our_rate = (statistics.median(side) for side in zip(*rates[1:], strict=True))
    print(
        f"{case.name:<30} {count_parameters(shape):>10,} {bare_rate:>10,.0f} {our_rate:>10,.0f} "
        f"{statistics.median(ratios[1:]):>7.3f}   {' '.join(f'{ratio:.3f}' for ratio in ratios[1:])}",
        flush=True,
    )


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(f"{'model':<30} {'parameters':>10} {'bare tok/s':>10} {'child':>10} {'ratio':>7}   pairs")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            compare(case, options.device, options.pairs, Path(folder))


if __name__ == "__main__":
    main()
