"""Numbers of an almost normal distribution, the same bits on every machine and in every version."""

import math

import numpy as np
import torch
from torch import Tensor

from emeth.files.philox import generator

INIT_STD = 0.02
# Numbers made at once.
_PIECE = 1 << 20


def bell(dims: tuple[int, ...], std: float, seed: int, stream: int) -> Tensor:
    """The sum of four 16-bit numbers, centred and scaled: integer arithmetic and one multiplication."""
    source = generator(seed, 1, stream)
    scale = std / (2 * (4 * (65536.0**2 - 1) / 12) ** 0.5)
    numbers = np.empty(math.prod(dims), np.float32)
    for start in range(0, len(numbers), _PIECE):
        piece = numbers[start : start + _PIECE]
        quarters = np.asarray(source.random_raw(len(piece)), np.uint64).view(np.uint16).reshape(-1, 4)
        piece[:] = (quarters.sum(axis=1, dtype=np.int64) * 2 - 4 * 65535) * scale
    return torch.from_numpy(numbers).reshape(dims)
