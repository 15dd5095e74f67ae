"""The tokenizer of a directory as a GGUF file describes it, so that llama.cpp cuts text into the same ids."""

import json
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from emeth.models.gguf_sentencepiece import write_sentencepiece
from emeth.models.gguf_special import NEVER, not_covered, require_rows, write_special

Json = dict[str, Any]

# The patterns that cut text before a BPE merges, and the names (`tokenizer.ggml.pre`) that llama.cpp has for them.
# With a name left out it takes another pattern: digits, spaces and line ends then give other ids.
_GPT2 = "ByteLevel with its pattern"
_LETTERS = r"|\s+(?!\S)|\s+"
_QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+" + _LETTERS
_NAMES = {
    (_GPT2,): "gpt-2",
    ("Digits one by one", _GPT2): "smollm",
    (_QWEN2, "ByteLevel"): "qwen2",
    (_QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|", 1), "ByteLevel"): "llama-bpe",
}
# llama.cpp refuses a BPE without merges; this one can never be used, as no token starts as a part of it.
_UNUSED_MERGE = "<|endoftext|> <|endoftext|>"


def write_tokenizer(writer: GGUFWriter, directory: str, rows: int) -> None:
    """Write tokens, merges and special ids; `rows` is the number of the model's embeddings. Raises Failure."""
    path = Path(directory, "tokenizer.json")
    if not path.is_file():
        return write_sentencepiece(writer, directory, rows)
    from tokenizers import Tokenizer

    parts = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(path))
    kind = parts["model"]["type"]
    if kind == "BPE" and _is_byte_level(parts):
        _write_byte_level(writer, parts)
    elif kind == "BPE" and parts["model"].get("byte_fallback"):
        _write_byte_fallback(writer, parts, rows)
    else:
        raise not_covered(f"tokenizers of type {kind} without a token for every byte")
    tokens, types = _tokens(parts, rows)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    tokenizer.no_padding()  # which a tokenizer.json may ask for
    around = tokenizer.encode("").ids
    return write_special(writer, directory, tokenizer.token_to_id, around)


def _write_byte_level(writer: GGUFWriter, parts: Json) -> None:
    steps = _steps(parts["pre_tokenizer"])
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in parts["model"]["merges"]]
    # Without merges each byte is a token, wherever the text is cut.
    name = _NAMES.get(steps) if merges else "gpt-2"
    if name is None:
        raise not_covered(f"a tokenizer that cuts text by {' and '.join(steps)}; llama.cpp has no name for that")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_merges(merges or [_UNUSED_MERGE])


def _write_byte_fallback(writer: GGUFWriter, parts: Json, rows: int) -> None:
    """A BPE over characters with a token per byte, as sentencepiece makes it: what merges first has the best score."""
    vocab: dict[str, int] = parts["model"]["vocab"]
    scores = dict.fromkeys(vocab.values(), NEVER)
    for rank, merge in enumerate(parts["model"]["merges"]):
        left, right = merge if isinstance(merge, list) else merge.split(" ")
        merged = vocab[left + right]
        scores[merged] = max(scores[merged], float(-rank))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_scores([scores.get(token, NEVER) for token in range(rows)])
    first = json.dumps(parts["normalizer"]) + json.dumps(parts["pre_tokenizer"])
    writer.add_add_space_prefix('"Prepend"' in first or '"prepend_scheme": "' in first.replace('"never"', ""))


def _tokens(parts: Json, rows: int) -> tuple[list[str], list[TokenType]]:
    """Text and type of every row of the embeddings; rows beyond the tokenizer are never used."""
    model = parts["model"]
    texts: dict[int, str] = {token: text for text, token in model["vocab"].items()}
    types: dict[int, TokenType] = {}
    if model.get("byte_fallback"):
        types |= {i: TokenType.BYTE for i, text in texts.items() if len(text) == 6 and text.startswith("<0x")}
    for added in parts["added_tokens"]:
        texts[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    if model.get("unk_token") in model["vocab"]:
        types[model["vocab"][model["unk_token"]]] = TokenType.UNKNOWN
    require_rows(max(texts), rows)
    names = [texts.get(i, f"[unused {i}]") for i in range(rows)]
    return names, [types.get(i, TokenType.NORMAL if i in texts else TokenType.UNUSED) for i in range(rows)]


def _is_byte_level(parts: Json) -> bool:
    return any(step.startswith("ByteLevel") for step in _steps(parts["pre_tokenizer"]))


def _steps(pre_tokenizer: Json | None) -> tuple[str, ...]:
    """What a pre-tokenizer does, one text for each step."""
    if pre_tokenizer is None:
        return ()
    match pre_tokenizer:
        case {"type": "Sequence", "pretokenizers": steps}:
            return tuple(text for step in steps for text in _steps(step))
        case {"type": "ByteLevel", "add_prefix_space": False, **others}:
            return (_GPT2 if others.get("use_regex", True) else "ByteLevel",)
        case {"type": "Digits", "individual_digits": True}:
            return ("Digits one by one",)
        case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}:
            return (pattern,)
        case _:
            return (json.dumps(pre_tokenizer),)
