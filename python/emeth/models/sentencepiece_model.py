"""What a sentencepiece model says of itself beside its pieces: its kind, and how it prepares a text.

sentencepiece's Python interface does not tell; the file is a message of protocol buffers, of which a few fields are
read here, by the numbers that sentencepiece_model.proto gives them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TRAINER, _NORMALIZER = 2, 3
_KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE = 0x80


@dataclass(frozen=True, slots=True)
class Nature:
    """Kind, rules that replace characters (empty: none), and what happens to spaces."""

    kind: str
    charsmap: bytes
    adds_space: bool
    joins_spaces: bool
    has_bytes: bool


def nature_of(processor: Any) -> Nature:  # noqa: ANN401 - sentencepiece has no types
    """The nature of a loaded model."""
    parts = {number: value for number, value in _fields(processor.serialized_model_proto()) if number in (2, 3)}
    trainer, normalizer = (dict(_fields(parts.get(number, b""))) for number in (_TRAINER, _NORMALIZER))
    return Nature(
        kind=_KINDS.get(trainer.get(3, 1), "unknown"),
        charsmap=normalizer.get(2, b""),
        adds_space=bool(normalizer.get(3, 1)),
        joins_spaces=bool(normalizer.get(4, 1)),
        has_bytes=any(processor.is_byte(i) for i in range(processor.get_piece_size())),
    )


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an int, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value: int | bytes
            value, at = _varint(data, at)
        else:
            size, at = _varint(data, at) if kind == _BYTES else ({_FIXED64: 8, _FIXED32: 4}[kind], at)
            value, at = data[at : at + size], at + size
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & ~_MORE) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < _MORE:
            return value, at
