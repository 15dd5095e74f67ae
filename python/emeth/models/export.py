"""The result of a job: a directory that transformers, or of an adapter peft, loads without any code of this project."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emeth.data.base_tokenizer import base_template
from emeth.data.tokenizer import Tokenizer
from emeth.files.tensors import sha256_of
from emeth.models.card import write_card
from emeth.models.curve import draw_curve
from emeth.models.program import Program
from emeth.models.tokenizer_files import Special, copy_base, write_json, write_own
from emeth.wire.commands import Export
from emeth.wire.events import Failure
from emeth.wire.params import Params

# Without a limit transformers writes 20 tokens, or for ever more than a small model has places for.
_MAX_NEW_TOKENS = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a job comes to, but for its weights."""

    params: Params
    program: Program
    tokenizer: Tokenizer
    # Of the chats it was trained on; None where it was none.
    template: str | None
    # The directory of the base it started from.
    base: str | None


def export(command: Export, trained: Trained) -> list[dict[str, str | int]]:
    """Write the directory and list its files. The same θ and facts give the same bytes, whoever writes them."""
    program, template, base = trained.program, trained.template, trained.base
    directory = Path(command.directory)
    directory.mkdir(parents=True, exist_ok=True)
    strangers = sorted(file.name for file in directory.iterdir())
    if strangers:
        raise Failure("model/directory-in-use", f"{directory} already holds {strangers[0]}; name an empty directory.")
    program.write_weights(command.theta, directory)
    if base is None:
        special = write_own(trained.tokenizer, template, program.context, directory)
    else:
        special = copy_base(base, template or base_template(base), program.context, directory)
    configs = program.configs(command.base)
    for name, config in configs.items():
        write_json(directory / name, config | (_ends(special) if name == "config.json" else {}))
    write_json(directory / "generation_config.json", _generation(special, program.context))
    if command.curve:
        points = [(float(point.tokens), point.loss) for point in command.curve]
        (directory / "curve.svg").write_text(draw_curve(points, "Held-out loss while it was trained"), encoding="utf-8")
    card = write_card(command, trained.params, program, base)
    (directory / "README.md").write_text(card, encoding="utf-8")
    return _list(directory)


def _generation(special: Special, context: int) -> dict[str, Any]:
    return {
        "bos_token_id": special.bos,
        "eos_token_id": special.ends[0] if len(special.ends) == 1 else special.ends or None,
        "pad_token_id": special.pad,
        "do_sample": True,
        "temperature": 0.8,
        "max_new_tokens": max(1, min(_MAX_NEW_TOKENS, context // 2)),
    }


def _ends(special: Special) -> dict[str, Any]:
    return {"bos_token_id": special.bos, "eos_token_id": special.ends[0] if special.ends else None}


def _list(directory: Path) -> list[dict[str, str | int]]:
    files: Sequence[Path] = sorted(directory.iterdir(), key=lambda file: file.name)
    return [{"name": file.name, "sha256": sha256_of(str(file)), "bytes": file.stat().st_size} for file in files]
