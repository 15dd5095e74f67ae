"""Where the held-out part of a data set begins: at the end of a text, or inside one that is too long for that."""

import mmap

import numpy as np
from numpy.typing import NDArray

from emeth.wire.events import Failure

# Where a text may be cut, best first. A cut lies after the separator.
SEPARATORS = (b"<|endoftext|>", b"\n\n\n", b"\n\n", b"\n", b" ")
# Japanese has no spaces, and its data sets a text on each line.
LINES = (b"\n",)
# How far beyond the wanted place a cut may lie, as a part of the held-out text.
_CUT_SLACK = 0.25


def split_place(
    text: bytes | mmap.mmap, validation: float, separators: tuple[bytes, ...] = SEPARATORS, size: int | None = None
) -> int:
    """Where the held-out part of a text of `size` bytes begins."""
    size = len(text) if size is None else size
    return _cut(text, separators, (0, size), _wanted(size, validation))


def split_texts(
    text: mmap.mmap, ends: NDArray[np.int64], validation: float, separators: tuple[bytes, ...], may_cut: bool
) -> int:
    """The end of the text that the held-out part follows; inside a text where none ends near enough and it may be."""
    size = int(ends[-1])
    wanted, limit = _wanted(size, validation)
    at = int(np.searchsorted(ends, wanted))
    start, end = (int(ends[at - 1]) if at > 0 else 0), int(ends[at])
    if end <= limit and end < size:
        return end
    if may_cut:
        return _cut(text, separators, (start, end), (wanted, limit))
    # Two records of which one is long are better than none; but the larger part is to be trained on.
    near = [place for place in (start, end) if size / 2 <= place < size]
    if not near:
        message = f"One record holds {round(100 * (end - start) / size)} % of the data, so that none can be held out to"
        raise Failure("data/too-small", f"{message} measure the result. Give more records, or split it.")
    return min(near, key=lambda place: abs(place - wanted))


def _wanted(size: int, validation: float) -> tuple[int, int]:
    """Where the held-out part should begin, and where it must."""
    wanted = round(size * (1 - validation))
    return wanted, wanted + max(1, int((size - wanted) * _CUT_SLACK))


def _cut(
    text: bytes | mmap.mmap, separators: tuple[bytes, ...], inside: tuple[int, int], place: tuple[int, int]
) -> int:
    """The first best boundary at or after the wanted place, inside of a text."""
    (start, end), (wanted, limit) = inside, place
    for separator in separators:
        # A separator that ends exactly at the wanted place is a boundary there.
        found = text.find(separator, max(start, wanted - len(separator)), min(limit, end))
        if found >= 0:
            return found + len(separator)
    while wanted < end and text[wanted] & 0xC0 == 0x80:  # never inside a character
        wanted += 1
    return wanted
