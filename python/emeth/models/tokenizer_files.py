"""The tokenizer of a result as files: the job's own, or its base's, made so that texts can be batched."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emeth.data.base_tokenizer import TOKENIZER_FILES
from emeth.data.tokenizer import END_OF_TEXT, Tokenizer

Json = dict[str, Any]

_CONFIG = "tokenizer_config.json"
_TEMPLATE = "chat_template.jinja"
# Of a base's files, those that are its tokenizer; what it was licensed by goes along.
_BASE_FILES = (*TOKENIZER_FILES, "special_tokens_map.json", "added_tokens.json")
_LICENCES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE")
# All that a result's tokenizer can consist of.
RESULT_FILES = (*_BASE_FILES, _CONFIG, _TEMPLATE)
# A class that takes tokenizer.json as it is; others build parts of it anew, and cut other tokens (findings).
_AS_IT_IS = "PreTrainedTokenizerFast"


@dataclass(frozen=True, kw_only=True, slots=True)
class Special:
    """Ids that other software is told to begin, end and fill texts with."""

    bos: int | None
    ends: list[int]
    pad: int | None


def write_own(tokenizer: Tokenizer, template: str | None, context: int, directory: Path) -> Special:
    """Files of a tokenizer that was made for the job; its id 0 begins, ends and fills texts."""
    tokenizer.save(str(directory / "tokenizer.json"))
    config: Json = {
        "tokenizer_class": _AS_IT_IS,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
    }
    ids = read_json(directory / "tokenizer.json")
    return _finish(config, ids, template, directory)


def copy_base(base: str, template: str | None, context: int, directory: Path) -> Special:
    """Files of a base's tokenizer. Where it has nothing to fill up a batch with, the end of texts does it."""
    for name in (*_BASE_FILES, *_LICENCES):
        if Path(base, name).is_file():
            shutil.copyfile(Path(base, name), directory / name)
    config = read_json(Path(base, _CONFIG))
    named = read_json(Path(base, "special_tokens_map.json"))
    for kind in ("bos_token", "eos_token", "unk_token", "pad_token"):
        if config.get(kind) is None and named.get(kind) is not None:
            config[kind] = named[kind]
    parts = read_json(directory / "tokenizer.json")
    if parts:
        config["tokenizer_class"] = _AS_IT_IS
        _name_by_id(config, parts, read_json(Path(base, "config.json")))
    config.setdefault("model_max_length", context)
    if config.get("pad_token") is None:
        filler = config.get("eos_token") or config.get("unk_token")
        config |= {} if filler is None else {"pad_token": filler}
    config.pop("chat_template", None)
    return _finish(config, parts or _pieces(config), template, directory)


def _finish(config: Json, parts: Json, template: str | None, directory: Path) -> Special:
    config |= {"padding_side": "left", "model_input_names": ["input_ids", "attention_mask"]}
    write_json(directory / _CONFIG, config)
    if template is not None:
        (directory / _TEMPLATE).write_text(template, encoding="utf-8")
    ids = _ids(parts)
    bos, eos, pad = (ids.get(_word(config.get(f"{kind}_token")) or "") for kind in ("bos", "eos", "pad"))
    turn = next((ids[word] for word in TURN_ENDS if word in (template or "") and word in ids), None)
    ends = [end for end in (eos, turn) if end is not None]
    return Special(bos=bos, ends=list(dict.fromkeys(ends)), pad=pad)


# Words of chat templates that end a turn, where they are tokens.
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endofturn|>")


def _name_by_id(config: Json, parts: Json, model: Json) -> None:
    """A base may say in its model's settings alone which token begins and which ends texts."""
    words = {identity: word for word, identity in _ids(parts).items()}
    for kind in ("bos", "eos", "pad"):
        found = model.get(f"{kind}_token_id")
        found = found[0] if isinstance(found, list) and found else found
        if config.get(f"{kind}_token") is None and found in words:
            config[f"{kind}_token"] = words[found]


def _ids(parts: Json) -> dict[str, int]:
    vocab = parts.get("model", {}).get("vocab", {})
    if isinstance(vocab, list):  # of a unigram model: pieces and scores
        vocab = {piece: i for i, (piece, _) in enumerate(vocab)}
    return {**vocab, **{token["content"]: token["id"] for token in parts.get("added_tokens", [])}}


def _pieces(config: Json) -> Json:
    """Of a sentencepiece model, the tokens that its settings name with their ids."""
    added = config.get("added_tokens_decoder") or {}
    return {"added_tokens": [{"content": token["content"], "id": int(key)} for key, token in added.items()]}


def _word(token: object) -> str | None:
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None


def read_json(path: Path) -> Json:
    """The object in a JSON file; empty where there is none."""
    found = json.loads(path.read_text(encoding="utf-8-sig")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, value: Json) -> None:
    """A file of a result, with the same bytes for the same value."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
