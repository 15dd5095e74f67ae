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
    text: bytes | mmap.mmap,
    validation: float,
    separators: tuple[bytes, ...] = SEPARATORS,
    start: int = 0,
    end: int | None = None,
) -> int:
    """Where the held-out part begins: the first best boundary at or after the wanted place, between start and end."""
    size = len(text)
    end = size if end is None else end
    wanted = max(start, round(size * (1 - validation)))
    limit = min(end, wanted + max(1, int((size - wanted) * _CUT_SLACK)))
    for separator in separators:
        # A separator that ends exactly at the wanted place is a boundary there.
        found = text.find(separator, max(start, wanted - len(separator)), limit)
        if found >= 0:
            return found + len(separator)
    while wanted < end and text[wanted] & 0xC0 == 0x80:  # never inside a character
        wanted += 1
    return wanted


def split_texts(
    text: mmap.mmap, ends: NDArray[np.int64], validation: float, separators: tuple[bytes, ...], may_cut: bool
) -> int:
    """The end of the text that the held-out part follows; inside a text where none ends near enough and it may be."""
    size = int(ends[-1])
    wanted = round(size * (1 - validation))
    limit = wanted + max(1, int((size - wanted) * _CUT_SLACK))
    at = int(np.searchsorted(ends, wanted))
    if wanted <= int(ends[at]) <= limit and at + 1 < len(ends):
        return int(ends[at])
    start = int(ends[at - 1]) if at > 0 else 0
    if may_cut:
        return split_place(text, validation, separators, start, int(ends[at]))
    # Two records of which one is long are better than none; but the larger part is to be trained on.
    near = [end for end in (start, int(ends[at])) if size / 2 <= end < size]
    if not near:
        share = round(100 * (int(ends[at]) - start) / size)
        message = f"One record holds {share} % of the data, so that none can be held out to measure the result."
        raise Failure("data/too-small", f"{message} Give more records, or split it.")
    return min(near, key=lambda end: abs(end - wanted))
