"""Counter-based random numbers: the same words for the same key on every machine and in every version.

NumPy promises a stable stream only for the raw output of its bit generators, so that is all we take from it.
"""

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, purpose: int, stream: int) -> np.random.Philox:
    """Philox-4x64-10 under the key (seed, purpose · 2³² + stream)."""
    return np.random.Philox(key=np.array([seed, (purpose << 32) + stream], dtype=np.uint64))


def words(count: int, seed: int, purpose: int, stream: int) -> NDArray[np.uint64]:
    """`count` 64-bit words of that generator."""
    return np.asarray(generator(seed, purpose, stream).random_raw(count), dtype=np.uint64)


def permutation(length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch visits its blocks: the argsort of one random word per block, ties by index.

    A bijection by construction, and derivable by anybody who knows the job's seed.
    """
    return np.argsort(words(length, seed, 0, epoch), kind="stable")
