"""A base's own tokenizer and chat template, read from its directory without any code of it.

A `tokenizer.json` is opened by `tokenizers`. Where there is only a sentencepiece model, sentencepiece itself is asked:
transformers 5.18 gives another id for what such a model does not know (docs/data.md).
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emeth.data.template import ChatTemplate
from emeth.data.tokenizer import Bpe, Places, Tokenizer, Tokens, token_dtype, token_length
from emeth.wire.events import Failure

_MAX_BYTES = 256 * 1024 * 1024
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
# Names that a sentencepiece model has, and all that a tokenizer can be read from.
SENTENCEPIECE_FILES = ("tokenizer.model", "spiece.model")
TOKENIZER_FILES = ("tokenizer.json", *SENTENCEPIECE_FILES)


def open_base(directory: str, rows: int) -> Tokenizer:
    """The tokenizer of a base whose embedding has `rows`. Raises `data/bad-tokenizer`."""
    folder = Path(directory)
    if (folder / "tokenizer.json").is_file():
        return _Fast(folder, rows)
    model = next((name for name in SENTENCEPIECE_FILES if (folder / name).is_file()), None)
    if model is None:
        names = "tokenizer.json, nor a sentencepiece model (tokenizer.model, spiece.model)"
        raise bad_tokenizer(f"holds no {names}. Save one with AutoTokenizer(…).save_pretrained, and put it again")
    return SentencePiece(folder, model, rows)


def embedding_rows(directory: str) -> int:
    """How many tokens a base's model knows, by its config.json. Raises `data/bad-tokenizer`."""
    config = _read_json(Path(directory, "config.json"))
    inside = config.get("text_config")
    rows = config.get("vocab_size", inside.get("vocab_size") if isinstance(inside, dict) else None)
    if not isinstance(rows, int) or not 1 < rows <= 1 << 24:
        raise bad_tokenizer(f"has the vocab_size {rows!r} in its config.json")
    return rows


def base_template(directory: str) -> str | None:
    """The chat template of a base; None where it has none. A file of its own comes before the tokenizer's settings."""
    path = Path(directory, "chat_template.jinja")
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found = _read_json(Path(directory, "tokenizer_config.json")).get("chat_template")
    if isinstance(found, list):
        named = {part.get("name"): part.get("template") for part in found if isinstance(part, dict)}
        found = named.get("default")
    return found if isinstance(found, str) and found else None


def special_words(directory: str) -> dict[str, str]:
    """The special tokens that a base names, as templates know them."""
    words: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        settings = _read_json(Path(directory, name))
        for key in _SPECIAL:
            value = settings.get(key)
            word = value.get("content") if isinstance(value, dict) else value
            if isinstance(word, str):
                words[key] = word
    return words


def own_template(directory: str) -> ChatTemplate | None:
    """The chat template of a base with its special tokens; None where it has none."""
    source = base_template(directory)
    return None if source is None else ChatTemplate(source, special_words(directory))


class _Fast(Bpe):
    """A `tokenizer.json` of a base."""

    def __init__(self, folder: Path, rows: int) -> None:
        from tokenizers import Tokenizer as Inner

        text = (folder / "tokenizer.json").read_bytes()
        try:
            inner = Inner.from_buffer(text)
        except Exception as error:
            raise bad_tokenizer(f"has a tokenizer.json that cannot be read: {str(error)[:200]}") from error
        self._folder, self._rows = folder, rows
        _require_ids_of_file(inner, json.loads(text))
        _require_rows(max(inner.get_vocab(with_added_tokens=True).values(), default=0), rows)
        super().__init__(inner, rows=rows)
        self.vocab_size = rows
        self.end = _end_of(folder, inner.token_to_id)
        self.begin = self._beginning()

    def _beginning(self) -> list[int]:
        """What the tokenizer itself puts before a text, such as Llama's `<s>`."""
        plain = self._inner.encode("a", add_special_tokens=False).ids
        whole = self._inner.encode("a").ids
        at = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
        return list(whole[:at])

    def described(self) -> dict[str, Any]:
        return {"type": "base", "directory": str(self._folder), "rows": self._rows}


class SentencePiece:
    """A sentencepiece model, asked by sentencepiece; special tokens, which it does not see in texts, are found here."""

    def __init__(self, folder: Path, model: str, rows: int) -> None:
        from sentencepiece import SentencePieceProcessor

        proto = (folder / model).read_bytes()
        try:
            self._inner = SentencePieceProcessor(model_proto=proto)
        except Exception as error:
            raise bad_tokenizer(f"has a {model} that sentencepiece cannot read: {str(error)[:200]}") from error
        self._folder, self._rows = folder, rows
        self._settings = _read_json(folder / "tokenizer_config.json")
        self._ids = _added(self._settings)
        for word in special_words(str(folder)).values():
            identity = self._inner.piece_to_id(word)
            if word not in self._ids and self._inner.id_to_piece(identity) == word:
                self._ids[word] = identity
        _require_rows(max([self._inner.get_piece_size() - 1, *self._ids.values()]), rows)
        self.vocab_size = rows
        self.end = _end_of(folder, self._ids.get)
        bos = self._ids.get(special_words(str(folder)).get("bos_token", ""))
        self.begin = [bos] if self._settings.get("add_bos_token") is True and bos is not None else []
        self._special = re.compile("|".join(map(re.escape, sorted(self._ids, key=len, reverse=True))) or r"(?!)")

    def encode(self, text: bytes) -> Tokens:
        ids = [identity for identity, _, _ in self._pieces(text.decode(), with_places=False)]
        return np.array(ids, token_dtype(self.vocab_size))

    def encode_all(self, texts: Sequence[bytes]) -> list[Tokens]:
        return [self.encode(text) for text in texts]

    def places(self, text: bytes, ids: Tokens) -> Places:
        string = text.decode()
        before = np.concatenate([[0], np.cumsum(np.array([len(c.encode()) for c in string], np.int64))])
        pieces = np.array(self._pieces(string, with_places=True), np.int64).reshape(-1, 3)
        return before[pieces[:, 1]], before[pieces[:, 2]]

    def token_bytes(self) -> NDArray[np.int64]:
        lengths = np.zeros(self.vocab_size, np.int64)
        for i in range(self._inner.get_piece_size()):
            if not (self._inner.is_control(i) or self._inner.is_unknown(i)):
                lengths[i] = token_length(self._inner.id_to_piece(i), is_byte_level=False)
        return lengths

    def decode(self, ids: list[int]) -> str:
        text: str = self._inner.decode([token for token in ids if token not in self._ids.values()])
        return text

    def save(self, path: str) -> None:
        """A base's files are copied as they are."""

    def described(self) -> dict[str, Any]:
        return {"type": "base", "directory": str(self._folder), "rows": self._rows}

    def _pieces(self, text: str, with_places: bool) -> list[tuple[int, int, int]]:
        """Ids, and where they begin and end in characters."""
        # Characters whose lower case is longer would move the places of all that follow.
        text = "".join(c.lower() if len(c.lower()) == 1 else c for c in text) if self._lowers() else text
        pieces: list[tuple[int, int, int]] = []
        at = 0
        for match in self._special.finditer(text):
            pieces += self._plain(text[at : match.start()], at, with_places)
            pieces.append((self._ids[match.group()], match.start(), match.end()))
            at = match.end()
        return pieces + self._plain(text[at:], at, with_places)

    def _plain(self, text: str, at: int, with_places: bool) -> list[tuple[int, int, int]]:
        if not text:
            return []
        if not with_places:
            return [(identity, 0, 0) for identity in self._inner.encode(text)]
        found = self._inner.encode(text, out_type="offset_mapping")
        pairs = zip(found["ids"], found["offsets"], strict=True)
        return [(identity, at + start, at + end) for identity, (start, end) in pairs]

    def _lowers(self) -> bool:
        return self._settings.get("do_lower_case") is True


def bad_tokenizer(what: str) -> Failure:
    return Failure("data/bad-tokenizer", f"The base {what}.")


def _require_rows(highest: int, rows: int) -> None:
    if highest >= rows:
        raise bad_tokenizer(
            f"has a tokenizer with the id {highest}, and a model that knows {rows} tokens; one of the two is another "
            "model's"
        )


def _require_ids_of_file(inner: Any, written: dict[str, Any]) -> None:  # noqa: ANN401
    """tokenizers gives an added token another id than its file says, where the vocabulary has holes."""
    for added in written.get("added_tokens", []):
        found = inner.token_to_id(added["content"])
        if found != added["id"]:
            message = (
                f"has a tokenizer.json in which {added['content'][:40]!r} has the id {added['id']}, and it gets {found}"
            )
            raise bad_tokenizer(f"{message}. Number its vocabulary without holes")


def _end_of(folder: Path, identity_of: Any) -> int | None:  # noqa: ANN401 - a function of a word
    """The id that ends a text: by the tokenizer's settings, else by the model's."""
    word = special_words(str(folder)).get("eos_token")
    found = identity_of(word) if word is not None else None
    if found is None:
        found = _read_json(folder / "config.json").get("eos_token_id")
        found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def _added(settings: dict[str, Any]) -> dict[str, int]:
    added = settings.get("added_tokens_decoder")
    if not isinstance(added, dict):
        return {}
    pairs = ((part.get("content"), key) for key, part in added.items() if isinstance(part, dict))
    return {word: int(key) for word, key in pairs if isinstance(word, str) and str(key).isdigit()}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise bad_tokenizer(f"has a {path.name} of {path.stat().st_size} bytes")
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise bad_tokenizer(f"has a {path.name} that cannot be read: {error}") from error
    return value if isinstance(value, dict) else {}
