"""What all tokenizers of GGUF files have: tokens that begin and end texts, a chat template, and refusals."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from emeth.data.base_tokenizer import base_template
from emeth.models.tokenizer_files import TURN_ENDS, read_json
from emeth.wire.events import Failure

Json = dict[str, Any]

# The score of a token that no merge makes.
NEVER = -1e9


def write_special(
    writer: GGUFWriter,
    directory: str,
    id_of: Callable[[str], int | None],
    around: list[int],
    defaults: Mapping[str, int] | None = None,
) -> None:
    """The tokens that begin, end and fill texts; `around` is what the tokenizer itself puts around a text."""
    config = read_json(Path(directory, "tokenizer_config.json"))
    words = {name: config.get(f"{name}_token") for name in ("bos", "eos", "unk", "pad")}
    named = {name: id_of(_text(word)) for name, word in words.items() if word is not None}
    ids = {**(defaults or {}), **{name: found for name, found in named.items() if found is not None}}
    for name, add in {
        "bos": writer.add_bos_token_id,
        "eos": writer.add_eos_token_id,
        "unk": writer.add_unk_token_id,
        "pad": writer.add_pad_token_id,
    }.items():
        found = ids.get(name)
        if found is not None:
            add(found)
    writer.add_add_bos_token(bool(around) and around[0] == ids.get("bos"))
    writer.add_add_eos_token(len(around) > 1 and around[-1] == ids.get("eos"))
    template = base_template(directory)
    if template is None:
        return
    writer.add_chat_template(template)
    ends = (id_of(word) for word in TURN_ENDS if word in template)
    end = next((found for found in ends if found is not None), None)
    if end is not None:
        writer.add_eot_token_id(end)


def _text(token: str | Json) -> str:
    return token if isinstance(token, str) else str(token["content"])


def require_rows(highest: int, rows: int) -> None:
    if highest >= rows:
        raise Failure("gguf/other-vocabulary", f"The tokenizer has the id {highest}, the model {rows} embeddings.")


def not_covered(what: str) -> Failure:
    return Failure(
        "gguf/not-covered", f"No GGUF file is written for {what}. The directory itself can be used as it is."
    )
