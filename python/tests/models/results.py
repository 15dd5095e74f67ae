"""Finished models of every kind, each exported by a real child from random weights."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from emeth.files.codec import raw
from emeth.files.tensors import write_tensors
from emeth.models.program import Program, open_program
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.bases import make_base
from tests.child import Child, Json, base_params, coordinate_spec, make_params, sample_text

# Kind of result → the changes to the parameters of a job, and the kind of its base.
KINDS: dict[str, tuple[Json, str | None]] = {
    "gpt2 of bytes": ({"model": {"context": 64}}, None),
    "gpt2 of bpe": ({"model": {"context": 64}, "tokenizer": {"type": "bpe", "vocabSize": 300}}, None),
    "llama of bpe": (
        {"model": {"context": 64, "family": "llama"}, "tokenizer": {"type": "bpe", "vocabSize": 300}},
        None,
    ),
    "full": ({"tune": "full"}, "gpt2-old"),
    "adapter": ({"tune": "lora", "lora": {"merge": False}}, "qwen2"),
    "merged": ({"tune": "lora", "lora": {"merge": True}}, "llama"),
}
LORA = {"r": 4, "alpha": 16, "dropout": 0, "targets": "auto"}
CHATS = [
    {"messages": [{"role": "user", "content": f"Where is the {name}?"}, {"role": "assistant", "content": f"{name}!"}]}
    for name in ("whale", "ship", "captain", "sea") * 40
]
CARD = {"data set": "a | b", "held-out loss": "5.5582 before, 1.2500 after"}
CURVE = [{"tokens": 0, "loss": 5.5582}, {"tokens": 12_800, "loss": 2.5}, {"tokens": 25_600, "loss": 1.25}]


@dataclass(frozen=True)
class Exported:
    """Where things are, and what the child answered."""

    folder: Path
    directory: Path
    base: Path | None
    answer: Json
    program: Program

    @property
    def names(self) -> set[str]:
        return {file["name"] for file in self.answer["files"]}


def export_kind(kind: str, folder: Path, chats: bool = False) -> Exported:
    """Prepare data, make weights that matter, and have a child export them."""
    changes, base_kind = KINDS[kind]
    base = None if base_kind is None else make_base(base_kind, folder / "base")
    if "lora" in changes:
        changes = changes | {"lora": LORA | changes["lora"]}
    if base is not None:
        (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A base\n")
    params = parse(Params, make_params(**changes) if base is None else base_params(**changes))
    text = "\n".join(map(json.dumps, CHATS)).encode() if chats else sample_text()
    (folder / "data").write_bytes(text)
    work = folder / "work"
    work.mkdir()
    with Child(coordinate_spec(work, base, **changes)) as child:
        child.event()
        prepared = child.ask("prepare", dataset=str(folder / "data"), maxBytes=10**9)["prepared"]
        program = open_program(params, prepared["vocabSize"], None if base is None else str(base))
        torch.manual_seed(0)
        tensors = (
            raw(5 * tensor if base is None else tensor + 0.2 * torch.randn_like(tensor))
            for _, tensor in program.initial(3)
        )
        write_tensors(str(folder / "theta"), program.layout, tensors)
        command: Json = {"theta": str(folder / "theta"), "directory": str(folder / "hf"), "card": CARD, "curve": CURVE}
        if base is not None:
            command["base"] = {"name": str(base), "revision": None}
        answer = child.ask("export", **command)
        assert answer["type"] == "exported", answer
        refused = child.ask("export", **command)
        assert refused["code"] == "model/directory-in-use"
    return Exported(folder, folder / "hf", base, answer, program)
