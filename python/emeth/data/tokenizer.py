"""Two tokenizers: one token per byte, or a byte-level BPE trained on the job's own training part.

Both are saved as a `tokenizer.json` that `transformers.AutoTokenizer` loads as it is.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emeth.wire.events import Failure
from emeth.wire.spec import BaseTokenizer, ByteTokenizer, TokenizerParams

# uint8, uint16 or uint32: the smallest that holds the vocabulary.
Tokens = NDArray[Any]
END_OF_TEXT = "<|endoftext|>"
# A BPE reads and encodes the text in pieces that end with a line, so that memory stays bounded.
_PIECE_BYTES = 64 * 1024


class Tokenizer(Protocol):
    """Text to token ids and back."""

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: bytes) -> Tokens:
        """Token ids of UTF-8 text, in the smallest dtype that holds the vocabulary."""
        ...

    def token_bytes(self) -> NDArray[np.int64]:
        """UTF-8 bytes each token stands for."""
        ...

    def save(self, path: str) -> None:
        """Write `tokenizer.json`."""
        ...


class Bytes:
    """One token per byte: the id is the byte."""

    vocab_size = 256

    def encode(self, text: bytes) -> Tokens:
        return np.frombuffer(text, np.uint8)

    def token_bytes(self) -> NDArray[np.int64]:
        return np.ones(256, np.int64)

    def save(self, path: str) -> None:
        Path(path).write_text(json.dumps(_byte_level_json(), ensure_ascii=False), encoding="utf-8")


class Bpe:
    """A byte-level BPE of the `tokenizers` library."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - the library has no types
        self._inner = inner
        self.vocab_size: int = inner.get_vocab_size()

    def encode(self, text: bytes) -> Tokens:
        dtype = np.uint16 if self.vocab_size <= 1 << 16 else np.uint32
        parts = [np.array(self._inner.encode(piece).ids, dtype) for piece in _pieces(text)]
        return np.concatenate(parts) if parts else np.empty(0, dtype)

    def token_bytes(self) -> NDArray[np.int64]:
        # In a byte-level vocabulary every character of a token is one byte.
        return np.array([len(self._inner.id_to_token(i)) for i in range(self.vocab_size)], np.int64)

    def save(self, path: str) -> None:
        self._inner.save(path, pretty=False)


def make_tokenizer(params: TokenizerParams, train_text: bytes) -> Tokenizer:
    """The tokenizer a job asks for; a BPE learns from the training part alone."""
    if isinstance(params, ByteTokenizer):
        return Bytes()
    if isinstance(params, BaseTokenizer):
        raise Failure("data/no-tokenizer", "The job has no base whose tokenizer it could use.")
    # One thread: the machine's other cores belong to other children, and the merges come out the same every time.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer as Inner
    from tokenizers import decoders, models, pre_tokenizers, trainers

    inner = Inner(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(  # type: ignore[no-untyped-call]
        vocab_size=params.vocab_size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[END_OF_TEXT],
        show_progress=False,
    )
    inner.train_from_iterator(_pieces(train_text), trainer)
    return Bpe(inner)


def load_tokenizer(params: TokenizerParams, path: str) -> Tokenizer:
    """Load a tokenizer that `save` wrote."""
    if isinstance(params, ByteTokenizer):
        return Bytes()
    from tokenizers import Tokenizer as Inner

    return Bpe(Inner.from_file(path))


def _pieces(text: bytes) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _PIECE_BYTES) + 1 or len(text)
        yield text[start:end].decode("utf-8")
        start = end


def _byte_level_json() -> dict[str, object]:
    """A BPE without merges over the 256 byte characters, in the order of the bytes."""
    level: dict[str, object] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {character: byte for byte, character in enumerate(byte_characters())},
            "merges": [],
        },
    }


def byte_characters() -> list[str]:
    """GPT-2's character for each byte: printable ones stand for themselves, the rest are shifted above 255."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    shifted = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(shifted)) for byte in range(256)]
