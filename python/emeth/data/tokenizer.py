"""Tokenizers: one token per byte, or a byte-level BPE trained on the job's own training part; a base's own is beside.

Both are saved as a `tokenizer.json` that `transformers.AutoTokenizer` loads as it is.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emeth.wire.params import BpeTokenizer, ByteTokenizer, TokenizerParams

# uint8, uint16 or uint32: the smallest that holds the vocabulary.
Tokens = NDArray[Any]
Places = tuple[NDArray[np.int64], NDArray[np.int64]]
END_OF_TEXT = "<|endoftext|>"


class Tokenizer(Protocol):
    """Text to token ids and back."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def begin(self) -> list[int]:
        """Ids that a text begins with."""
        ...

    @property
    def end(self) -> int | None:
        """The id that parts texts; None where the tokenizer has none."""
        ...

    def encode(self, text: bytes) -> Tokens:
        """Token ids of UTF-8 text, in the smallest dtype that holds the vocabulary."""
        ...

    def encode_all(self, texts: Sequence[bytes]) -> list[Tokens]:
        """Token ids of each text."""
        ...

    def places(self, text: bytes, ids: Tokens) -> Places:
        """Where each token of a text begins and ends, in bytes."""
        ...

    def token_bytes(self) -> NDArray[np.int64]:
        """UTF-8 bytes each token stands for."""
        ...

    def decode(self, ids: list[int]) -> str:
        """The text of ids, without special tokens; what is no whole character is U+FFFD."""
        ...

    def save(self, path: str) -> None:
        """Write `tokenizer.json`."""
        ...

    def described(self) -> dict[str, Any]:
        """What `open_tokenizer` needs to open the same one in another process."""
        ...


class Bytes:
    """One token per byte: the id is the byte. Texts hold no NUL, so that 0 is free to part them."""

    vocab_size = 256
    begin: list[int] = []  # noqa: RUF012 - never changed
    end = 0

    def encode(self, text: bytes) -> Tokens:
        return np.frombuffer(text, np.uint8)

    def encode_all(self, texts: Sequence[bytes]) -> list[Tokens]:
        return [self.encode(text) for text in texts]

    def places(self, text: bytes, ids: Tokens) -> Places:
        ends = np.arange(1, len(ids) + 1, dtype=np.int64)
        return ends - 1, ends

    def token_bytes(self) -> NDArray[np.int64]:
        return np.ones(256, np.int64)

    def decode(self, ids: list[int]) -> str:
        return bytes(token for token in ids if token != self.end).decode("utf-8", "replace")

    def save(self, path: str) -> None:
        Path(path).write_text(json.dumps(_byte_level_json(), ensure_ascii=False), encoding="utf-8")

    def described(self) -> dict[str, Any]:
        return {"type": "byte"}


class Bpe:
    """A tokenizer of the `tokenizers` library; `rows` where the model has more embeddings than it has tokens."""

    def __init__(self, inner: Any, path: str = "", rows: int = 0) -> None:  # noqa: ANN401 - it has no types
        # A tokenizer.json may ask to cut texts off, or to fill them up; here neither is wanted.
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self._path = path
        self._tokens: int = inner.get_vocab_size()
        self.vocab_size = max(rows, self._tokens)
        self.begin: list[int] = []
        self.end: int | None = inner.token_to_id(END_OF_TEXT)
        self._lengths: NDArray[np.int64] | None = None

    def encode(self, text: bytes) -> Tokens:
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[bytes]) -> list[Tokens]:
        dtype = token_dtype(self.vocab_size)
        encoded = self._inner.encode_batch_fast([text.decode() for text in texts], add_special_tokens=False)
        return [np.array(one.ids, dtype) for one in encoded]

    def places(self, text: bytes, ids: Tokens) -> Places:
        # Asking the library for offsets makes it half as fast. In a byte-level vocabulary the tokens of a text are its
        # bytes one after the other; where they do not come out even, something else was done to the text.
        lengths = self._token_lengths()[ids]
        ends = np.cumsum(lengths)
        if len(ends) and ends[-1] == len(text):
            return ends - lengths, ends
        return self._asked_places(text)

    def _asked_places(self, text: bytes) -> Places:
        string = text.decode()
        offsets = np.array(self._inner.encode(string, add_special_tokens=False).offsets, np.int64).reshape(-1, 2)
        sizes = [len(character.encode()) for character in string]
        before = np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))])
        starts, ends = offsets.T
        return before[starts], before[ends]

    def token_bytes(self) -> NDArray[np.int64]:
        lengths: NDArray[np.int64] = self._token_lengths().copy()
        # A special token stands for no text.
        for identity, token in self._inner.get_added_tokens_decoder().items():
            if token.special:
                lengths[identity] = 0
        return lengths

    def decode(self, ids: list[int]) -> str:
        text: str = self._inner.decode(ids, skip_special_tokens=True)
        return text

    def save(self, path: str) -> None:
        self._inner.save(path, pretty=False)
        self._path = path

    def described(self) -> dict[str, Any]:
        return {"type": "bpe", "path": self._path}

    def _token_lengths(self) -> NDArray[np.int64]:
        if self._lengths is None:
            self._lengths = np.zeros(self.vocab_size, np.int64)
            is_byte_level = _is_byte_level(self._inner)
            for token, identity in self._inner.get_vocab(with_added_tokens=True).items():
                self._lengths[identity] = token_length(token, is_byte_level)
            for identity, added in self._inner.get_added_tokens_decoder().items():
                self._lengths[identity] = len(added.content.encode())
        return self._lengths


def token_length(token: str, is_byte_level: bool) -> int:
    """UTF-8 bytes a token stands for, by how vocabularies write them."""
    if is_byte_level:
        return len(token)
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return 1
    return len(token.replace("\u2581", " ").encode())


def token_dtype(vocab_size: int) -> Any:  # noqa: ANN401 - a numpy type
    """The smallest type that holds the tokens of a vocabulary."""
    if vocab_size <= 1 << 8:
        return np.uint8
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


def make_tokenizer(
    params: ByteTokenizer | BpeTokenizer, pieces: Iterable[bytes], special: Sequence[str] = ()
) -> Tokenizer:
    """The tokenizer a job asks for; a BPE learns from these pieces of the training part alone."""
    if isinstance(params, ByteTokenizer):
        return Bytes()
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
        special_tokens=[END_OF_TEXT, *special],
        show_progress=False,
    )
    inner.train_from_iterator((piece.decode() for piece in pieces), trainer)
    return Bpe(inner)


def load_tokenizer(params: TokenizerParams, path: str) -> Tokenizer:
    """Load a tokenizer that `save` wrote."""
    return open_tokenizer({"type": params.type, "path": path})


def open_tokenizer(described: dict[str, Any]) -> Tokenizer:
    """The tokenizer that another process described."""
    if described["type"] == "byte":
        return Bytes()
    if described["type"] == "base":
        from emeth.data.base_tokenizer import open_base

        return open_base(described["directory"], described["rows"])
    from tokenizers import Tokenizer as Inner

    return Bpe(Inner.from_file(described["path"]), described["path"])


def _is_byte_level(inner: Any) -> bool:  # noqa: ANN401
    """True when each character of a token is a byte of the text."""
    described = json.loads(inner.to_str())
    parts = [described.get("decoder") or {}, described.get("pre_tokenizer") or {}]
    parts += [inside for part in parts for inside in part.get("decoders", []) + part.get("pretokenizers", [])]
    return any(part.get("type") == "ByteLevel" for part in parts)


def _byte_level_json() -> dict[str, object]:
    """A BPE without merges over the 256 byte characters, in the order of the bytes.

    Texts hold no NUL: its id ends a text, and fills up the shorter ones of a batch.
    """
    vocab = {character: byte for byte, character in enumerate(byte_characters()) if byte > 0}
    end = {"id": 0, "content": END_OF_TEXT, "special": True, "normalized": False}
    end |= {"single_word": False, "lstrip": False, "rstrip": False}
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
        "added_tokens": [end],
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
            "vocab": {END_OF_TEXT: 0} | vocab,
            "merges": [],
        },
    }


def byte_characters() -> list[str]:
    """GPT-2's character for each byte: printable ones stand for themselves, the rest are shifted above 255."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    shifted = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(shifted)) for byte in range(256)]
