"""A loop as one would write it by hand, on the model that our child trains: no schedule, no progress, no update."""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.sides import serve, work_of
from emeth.models.program import trained_tensors


def main() -> None:
    """Train each shard from the same weights with a fresh optimiser."""
    work = work_of(sys.argv[1])
    torch.set_num_threads(work.threads)
    program = work.program()
    model = program.build("cpu").train()
    weights = trained_tensors(model, program.layout)

    def train(shard: str) -> None:
        with torch.no_grad():
            for name, tensor in program.initial(0):
                weights[name].copy_(tensor)
        blocks = torch.from_numpy(load_file(shard)["tokens"].astype("int64"))
        optimiser = torch.optim.AdamW(weights.values(), lr=1e-3, betas=(0.9, 0.95), fused=True)
        for block in blocks:
            with torch.autocast("cpu", torch.bfloat16) if work.precision == "bf16" else nullcontext():
                loss = model(block[:, :-1], block[:, 1:])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    serve(train)


if __name__ == "__main__":
    main()
