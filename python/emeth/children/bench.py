"""How fast this device trains: a reference model's GFLOP/s, counted as 6 per parameter and token."""

import os
import time

import torch
from torch import nn

from emeth.models.gpt2 import Gpt, build, count_parameters, initial_tensors
from emeth.rounds.device import device_name
from emeth.wire.events import Outbox
from emeth.wire.model_shape import Shape
from emeth.wire.spec import BenchSpec

# Small enough that a core does many steps in a second, and large enough on a GPU to keep it busy.
_CPU_SHAPE = Shape(layers=4, heads=4, width=128, context=128, vocab_size=256)
_CUDA_SHAPE = Shape(layers=8, heads=16, width=1024, context=512, vocab_size=256)
_BATCH = 8
_WARM_UP_STEPS = 3
_SECONDS = 1.2


def run(spec: BenchSpec, outbox: Outbox) -> None:
    """Measure, and report the result."""
    outbox.emit("ready", device=spec.device, threads=torch.get_num_threads(), parameters=0)
    outbox.emit(
        "benched",
        gflops=measure(spec.device, _SECONDS),
        deviceName=device_name(spec.device),
        memoryBytes=memory_bytes(spec.device),
    )


def measure(device: str, seconds: float) -> float:
    """GFLOP/s of forward, backward and optimiser together, over about the given number of seconds."""
    shape = _CPU_SHAPE if device == "cpu" else _CUDA_SHAPE
    model = build(shape, device)
    for (_, values), (_, weight) in zip(initial_tensors(shape, seed=0), sorted(model.named_parameters()), strict=True):
        weight.data.copy_(values)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    tokens = torch.randint(256, (_BATCH, shape.context + 1), device=device)
    for _ in range(_WARM_UP_STEPS):
        _step(model, optimiser, tokens)
    _wait(device)
    began, steps = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        _step(model, optimiser, tokens)
        _wait(device)
        steps += 1
    rate = steps * _BATCH * shape.context / (time.monotonic() - began)
    return 6 * count_parameters(shape) * rate / 1e9


def _step(model: Gpt, optimiser: torch.optim.Optimizer, tokens: torch.Tensor) -> None:
    with torch.autocast("cuda", torch.bfloat16, enabled=tokens.is_cuda):
        loss = model(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def memory_bytes(device: str) -> int:
    """Memory of the device: a GPU's own, or the machine's."""
    if device != "cpu":
        return int(torch.cuda.get_device_properties(torch.device(device)).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
