"""Norms of updates: what the gate asks of one, and the weights that keep a single one from ruling a fold.

Both rest on inner products of updates, read chunk by chunk in a given order: memory does not grow with their size,
and the sums come out the same every time.
"""

import math
import threading
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emeth.files.codec import CHUNK, EncodedReader
from emeth.files.codecs.protocol import GROUP
from emeth.files.tensors import Layout
from emeth.files.threads import in_threads
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

    The diagonal is the same on every machine, as the norms go into the fold's outer state; the rest is not. Neither
    depends on the number of threads: each piece is one thread's, and all are added in their order.
    """
    num = len(readers)
    gram, columns = np.zeros((num, num)), np.zeros((num, _COLUMNS))
    length = _row_length(num)
    pieces = [(name, start, end) for name, spec in theta.items() for start, end in _ranges(spec.count, length)]
    with closing(in_threads(_Products(readers, length).of, pieces)) as results:
        for products, squares in results:
            gram += products
            columns += squares
    np.fill_diagonal(gram, [math.fsum(sums) for sums in columns])
    return gram


class _Rows(threading.local):
    """The updates' numbers of one piece, side by side where their products are wanted; and room for squares."""

    def __init__(self, num: int, length: int) -> None:
        self.rows = torch.empty(num, length)
        self.scratch = np.empty(length, np.float32)


class _Products:
    """Inner products of one piece after the other."""

    def __init__(self, readers: Sequence[EncodedReader], length: int) -> None:
        self._readers = readers
        self._has_pairs = len(readers) >= CENTRED_FROM
        self._rows = _Rows(len(readers) if self._has_pairs else 1, length)

    def of(self, piece: tuple[str, int, int]) -> tuple[NDArray[np.float64] | float, NDArray[np.float64]]:
        """The products of all pairs (0 where none are wanted), and each update's squares in columns."""
        name, start, end = piece
        block = self._rows.rows[:, : end - start]
        columns = np.zeros((len(self._readers), _COLUMNS))
        for i, reader in enumerate(self._readers):
            row = block[i if self._has_pairs else 0]
            reader.read(name, start, row)
            _add_squares(row, self._rows.scratch, columns[i])
        products: NDArray[np.float64] | float = (block @ block.T).double().numpy() if self._has_pairs else 0.0
        return products, columns


def _add_squares(values: Tensor, scratch: NDArray[np.float32], columns: NDArray[np.float64]) -> None:
    """Add the squares to the columns, row by row: an order that no processor chooses, unlike that of a dot product."""
    numbers = values.numpy()
    whole = numbers.size // _COLUMNS * _COLUMNS
    with np.errstate(over="ignore", invalid="ignore"):  # whoever asks for a norm looks whether it is finite
        squares = np.multiply(numbers, numbers, out=scratch[: numbers.size])
        columns += np.add.reduce(squares[:whole].reshape(-1, _COLUMNS), axis=0)
    columns[: numbers.size - whole] += squares[whole:]


def _row_length(num: int) -> int:
    """Numbers of each update held at once: at most 8 MiB for all of them, in whole groups."""
    if num < CENTRED_FROM:
        return CHUNK
    return max(GROUP, min(CHUNK, 2 * 1024 * 1024 // num) // GROUP * GROUP)


def _ranges(count: int, length: int) -> list[tuple[int, int]]:
    return [(start, min(start + length, count)) for start in range(0, count, length)]
