"""Norms of updates: what the gate asks of one, and the weights that keep a single one from ruling a fold.

Both rest on inner products of updates, read chunk by chunk in a given order: memory does not grow with their size,
and the sums come out the same every time.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emeth.files.codec import CHUNK, EncodedReader
from emeth.files.codecs.protocol import GROUP
from emeth.files.tensors import Layout
from emeth.wire.params import CodecName

# An update longer than this many times the median is scaled down to it.
NORM_LIMIT = 3.0
# From this many updates on, those far from the others' centre are pulled towards it.
CENTRED_FROM = 4
_CENTRE_LIMIT = 1.25
_CENTRE_STEPS = 5
# Sums of squares kept side by side until the end.
_COLUMNS = 1024


def inspect_update(path: str, codec: CodecName, theta: Layout) -> float:
    """The Euclidean norm of an update. Raises TensorFileError when the file is malformed; not finite gives NaN or ∞."""
    with EncodedReader(path, codec, theta) as reader:
        return math.sqrt(inner_products([reader], theta)[0, 0])


def robust_weights(
    gram: NDArray[np.float64], share: NDArray[np.float64], earlier_norms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The factor each update gets in the sum, and how much it was clipped (1: not at all).

    First norms are clipped to NORM_LIMIT medians. From four updates on a centred clip follows (Karimireddy et al.,
    2012.10333), started at the update with the smallest median distance to the others: an update farther from the
    centre than 1.25 median distances counts only up to there. As every centre is a combination of the updates, all
    distances follow from their inner products alone, and no update is read again.
    """
    norms = np.sqrt(np.diag(gram))
    median = float(np.median(np.concatenate([earlier_norms, norms])))
    scale = np.minimum(1.0, NORM_LIMIT * median / np.maximum(norms, 1e-300))
    if len(share) < CENTRED_FROM:
        return share * scale, scale
    gram = gram * np.outer(scale, scale)
    centre = np.zeros(len(share))
    centre[np.argmin(np.median(_pair_distances(gram), axis=1))] = 1.0
    pull = np.ones(len(share))
    for _ in range(_CENTRE_STEPS):
        distances = np.sqrt(np.maximum(np.diag(gram) - 2 * gram @ centre + centre @ gram @ centre, 0.0))
        pull = np.minimum(1.0, _CENTRE_LIMIT * np.median(distances) / np.maximum(distances, 1e-300))
        centre = centre * (1 - share @ pull) + share * pull
    return centre * scale, scale * pull


def _pair_distances(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.diag(gram)
    result: NDArray[np.float64] = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0.0))
    return result


def inner_products(readers: Sequence[EncodedReader], theta: Layout) -> NDArray[np.float64]:
    """Inner products of all pairs of updates. With fewer than CENTRED_FROM only the diagonal: no more is used then.

    The diagonal is the same on every machine, as the norms go into the fold's outer state; the rest is not.
    """
    num = len(readers)
    gram, columns = np.zeros((num, num)), np.zeros((num, _COLUMNS))
    rows = torch.empty(num if num >= CENTRED_FROM else 1, _row_length(num))
    scratch = np.empty(rows.shape[1], np.float32)
    for name, spec in theta.items():
        for start, end in _ranges(spec.count, rows.shape[1]):
            block = rows[:, : end - start]
            for i, reader in enumerate(readers):
                row = block[i if num >= CENTRED_FROM else 0]
                reader.read(name, start, row)
                _add_squares(row, scratch, columns[i])
            if num >= CENTRED_FROM:
                gram += (block @ block.T).double().numpy()
    np.fill_diagonal(gram, [math.fsum(sums) for sums in columns])
    return gram


def _add_squares(values: Tensor, scratch: NDArray[np.float32], columns: NDArray[np.float64]) -> None:
    """Add the squares to the columns, row by row: an order that no processor chooses, unlike that of a dot product."""
    numbers = values.numpy()
    whole = numbers.size // _COLUMNS * _COLUMNS
    with np.errstate(over="ignore", invalid="ignore"):  # whoever asks for a norm looks whether it is finite
        squares = np.multiply(numbers, numbers, out=scratch[: numbers.size])
        columns += np.add.reduce(squares[:whole].reshape(-1, _COLUMNS), axis=0)
    columns[: numbers.size - whole] += squares[whole:]


def _row_length(num: int) -> int:
    """Numbers of each update held at once: at most 16 MiB for all of them, in whole groups."""
    if num < CENTRED_FROM:
        return CHUNK
    return max(GROUP, min(CHUNK, 4 * 1024 * 1024 // num) // GROUP * GROUP)


def _ranges(count: int, length: int) -> list[tuple[int, int]]:
    return [(start, min(start + length, count)) for start in range(0, count, length)]
