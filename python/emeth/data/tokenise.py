"""Texts to tokens, in processes, into files that are read when they are looked at; memory does not grow with the data.

A text is encoded in pieces that end with a line, as tokenizers take memory by the length of what they are given. Texts
of many are joined by the tokenizer's end token. What a token stands for decides whether it is learnt: the first token
of a text follows from nothing, and of a chat only answers are.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emeth.data.collect import Report, Texts
from emeth.data.pool import Batch, Pool
from emeth.data.tokenizer import Tokenizer, Tokens, token_dtype

_PIECE_BYTES = 64 * 1024
# A line that is longer is cut at a space or between characters.
_LINE_BYTES = 1024 * 1024
_BATCH_BYTES = 256 * 1024

# start, end, whether a text begins there, whether one ends there
Piece = tuple[int, int, bool, bool]


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one part of a data set, and which of them are learnt; no mask: all."""

    tokens: Tokens
    mask: NDArray[np.uint8] | None
    learnt: int


def pieces_of(text: bytes | mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The pieces that a text is encoded in."""
    while start < end:
        stop = text.find(b"\n", start + _PIECE_BYTES, min(end, start + _LINE_BYTES)) + 1
        if not stop:
            stop = end if end - start <= _LINE_BYTES else _inside_line(text, start)
        yield start, stop
        start = stop


def _inside_line(text: bytes | mmap.mmap, start: int) -> int:
    stop = text.rfind(b" ", start + _PIECE_BYTES, start + _LINE_BYTES)
    if stop >= 0:
        return stop
    stop = start + _LINE_BYTES
    while text[stop] & 0xC0 == 0x80:
        stop -= 1
    return stop


class Tokeniser:
    """Encodes ranges of texts with one tokenizer."""

    def __init__(self, texts: Texts, tokenizer: Tokenizer, pool: Pool, report: Report) -> None:
        self._texts = texts
        self._tokenizer = tokenizer
        self._pool = pool
        self._report = report
        self._text = texts.map()

    def write(self, start: int, end: int, path: str) -> Part:
        """Write the tokens of the texts in [start, end) to `path`, and their mask beside it."""
        texts = self._texts
        is_masked = not texts.is_one_text
        dtype = token_dtype(self._tokenizer.vocab_size)
        counts = {"tokens": 0, "learnt": 0, "bytes": start}
        mask_path = f"{path}.mask"
        with Path(path).open("wb") as tokens, Path(mask_path).open("wb") as mask:
            for header, data in self._pool.map(self._batches(start, end, is_masked)):
                split = header["tokens"] * dtype(0).itemsize
                tokens.write(memoryview(data)[:split])
                mask.write(memoryview(data)[split:])
                counts["tokens"] += header["tokens"]
                counts["learnt"] += header["learnt"]
                counts["bytes"] += header["bytes"]
                self._report("tokenise", counts["tokens"], counts["bytes"], texts.bytes)
        return open_part(path, dtype, is_masked, counts["learnt"])

    def _batches(self, start: int, end: int, is_masked: bool) -> Iterator[Batch]:
        batch: list[Piece] = []
        size = 0
        for piece in _pieces(self._texts, self._text, start, end):
            batch.append(piece)
            size += piece[1] - piece[0]
            if size >= _BATCH_BYTES:
                yield self._request(batch, is_masked)
                batch, size = [], 0
        if batch:
            yield self._request(batch, is_masked)

    def _request(self, batch: list[Piece], is_masked: bool) -> Batch:
        texts = self._texts
        start, end = batch[0][0], batch[-1][1]
        header: dict[str, Any] = {
            "do": "encode",
            "tokenizer": self._tokenizer.described(),
            "path": texts.path,
            "start": start,
            "ends": [piece[1] for piece in batch],
            "begins": [piece[2] for piece in batch],
            "finishes": [piece[3] and is_masked for piece in batch],
            "masked": is_masked,
            "spans": None,
        }
        if texts.spans is not None:
            first = np.searchsorted(texts.spans[:, 1], start, "right")
            last = np.searchsorted(texts.spans[:, 0], end)
            header["spans"] = texts.spans[first:last].reshape(-1).tolist()
        return header, b""

    @staticmethod
    def pieces(texts: Texts, end: int) -> Iterator[bytes]:
        """The pieces of the texts before `end`, for a tokenizer to learn from."""
        with texts.map() as text:
            for a, b, _, _ in _pieces(texts, text, 0, end):
                yield text[a:b]


def _pieces(texts: Texts, text: mmap.mmap, start: int, end: int) -> Iterator[Piece]:
    """What is encoded at once, of the texts in [start, end)."""
    ends = texts.ends
    first, last = np.searchsorted(ends, start, "right"), np.searchsorted(ends, end)
    at = start
    for i in range(int(first), int(last) + 1):
        stop = min(end, int(ends[i]))
        is_new = at == (int(ends[i - 1]) if i > 0 else 0)
        # An answer must not be torn from its question by a piece's end: a chat is encoded whole.
        parts = [(at, stop)] if texts.form != "text" else pieces_of(text, at, stop)
        for a, b in parts:
            yield a, b, is_new and a == at, b == int(ends[i])
        at = stop


def open_part(path: str, dtype: Any, is_masked: bool, learnt: int) -> Part:  # noqa: ANN401 - a numpy type
    """A part that was written."""
    return Part(_mapped(path, dtype), _mapped(f"{path}.mask", np.uint8) if is_masked else None, learnt)


def _mapped(path: str, dtype: Any) -> NDArray[Any]:  # noqa: ANN401
    if Path(path).stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r")
