"""The tokenizer of a directory that has a sentencepiece model alone, as a GGUF file describes it."""

from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from emeth.data.base_tokenizer import SENTENCEPIECE_FILES
from emeth.models.gguf_special import NEVER, not_covered, require_rows, write_special
from emeth.models.sentencepiece_model import Nature, nature_of
from emeth.models.tokenizer_files import read_json
from emeth.wire.events import Failure


def write_sentencepiece(writer: GGUFWriter, directory: str, rows: int) -> None:
    """A directory whose only tokenizer is a sentencepiece model."""
    from sentencepiece import SentencePieceProcessor

    path = next((path for name in SENTENCEPIECE_FILES if (path := Path(directory, name)).is_file()), None)
    if path is None:
        raise Failure("gguf/no-tokenizer", f"{directory} holds neither tokenizer.json nor a sentencepiece model.")
    inner = SentencePieceProcessor(model_file=str(path))
    nature = nature_of(inner)
    _require_covered(nature)
    added = read_json(Path(directory, "tokenizer_config.json")).get("added_tokens_decoder") or {}
    beyond = {int(key): token["content"] for key, token in added.items() if int(key) >= inner.get_piece_size()}
    pieces = range(inner.get_piece_size())
    texts = {i: inner.id_to_piece(i) for i in pieces} | beyond
    require_rows(max(texts), rows)
    types = {i: _type_of(inner, i) for i in pieces} | dict.fromkeys(beyond, TokenType.CONTROL)
    writer.add_tokenizer_model("t5" if nature.kind == "unigram" else "llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([texts.get(i, f"[unused {i}]") for i in range(rows)])
    writer.add_token_types([types.get(i, TokenType.UNUSED) for i in range(rows)])
    writer.add_token_scores([inner.get_score(i) if i in pieces else NEVER for i in range(rows)])
    writer.add_add_space_prefix(nature.adds_space)
    writer.add_remove_extra_whitespaces(nature.joins_spaces)
    if nature.charsmap:
        writer.add_precompiled_charsmap(nature.charsmap)
    ids = {text: i for i, text in texts.items()}
    # Without its number llama.cpp takes id 2 for what a unigram model does not know.
    defaults = {"unk": inner.unk_id(), "bos": inner.bos_id(), "eos": inner.eos_id(), "pad": inner.pad_id()}
    write_special(writer, directory, ids.get, [], {name: id for name, id in defaults.items() if id >= 0})


def _require_covered(nature: Nature) -> None:
    """llama.cpp has no bytes for what a unigram model does not know, and prepares no text for a BPE."""
    if nature.kind == "unigram" and not nature.has_bytes:
        return
    if nature.kind == "bpe" and nature.has_bytes and not nature.charsmap and not nature.joins_spaces:
        return
    parts = ["with byte tokens" if nature.has_bytes else "without byte tokens"]
    parts += ["that replace characters"] if nature.charsmap else []
    parts += ["that join spaces"] if nature.joins_spaces else []
    raise not_covered(
        f"sentencepiece models of kind {nature.kind} {' and '.join(parts)}, as llama.cpp would cut other tokens"
    )


def _type_of(inner: Any, piece: int) -> TokenType:  # noqa: ANN401 - sentencepiece has no types
    if inner.is_unknown(piece):
        return TokenType.UNKNOWN
    if inner.is_control(piece):
        return TokenType.CONTROL
    return TokenType.BYTE if inner.is_byte(piece) else TokenType.NORMAL
