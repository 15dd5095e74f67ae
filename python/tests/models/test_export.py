"""Exported directories: their files, and what transformers and peft make of them without any code of this project."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from emeth.files.tensors import sha256_of
from emeth.models.program import load_model
from tests.child import Json
from tests.models.results import KINDS, Exported, export_kind

PLAIN = {"README.md", "curve.svg", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
# What users run: nothing of this project can be imported, and nothing is fetched.
LOAD = """
import json, sys
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

def facts_of(directory, is_adapter, words):
    tokenizer = AutoTokenizer.from_pretrained(words)
    model = (AutoPeftModelForCausalLM if is_adapter else AutoModelForCausalLM).from_pretrained(directory).eval()
    texts = ["the", "the captain of the ship"]
    few = {"do_sample": False, "max_new_tokens": 5}
    together = model.generate(**tokenizer(texts, return_tensors="pt", padding=True), **few)
    alone = [model.generate(**tokenizer(text, return_tensors="pt"), **few) for text in texts]
    text = "The whale, 東京 and\\n\\n naïve\\tcafé 🐳 "
    piped = "the"
    if not is_adapter:
        pipe = pipeline("text-generation", model=directory, tokenizer=words)
        piped = pipe("the", do_sample=False)[0]["generated_text"]
    return {
        "inputs": tokenizer(texts, padding=True)["input_ids"],
        "logits": model(torch.tensor([[84, 104, 101, 32, 119]])).logits[0].tolist(),
        "together": [tokenizer.decode(ids, skip_special_tokens=True) for ids in together],
        "alone": [tokenizer.decode(ids[0], skip_special_tokens=True) for ids in alone],
        "back": tokenizer.decode(tokenizer(text)["input_ids"]) == text,
        "template": tokenizer.chat_template,
        "piped": piped,
    }

json.dump([facts_of(**asked) for asked in json.loads(sys.argv[1])], open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """A directory of each kind, and one that was trained on chats."""
    made = {kind: export_kind(kind, tmp_path_factory.mktemp("export")) for kind in KINDS}
    return made | {"chats": export_kind("gpt2 of bpe", tmp_path_factory.mktemp("export"), chats=True)}


@pytest.fixture(scope="module")
def facts(all_kinds: dict[str, Exported], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What LOAD finds in a process of its own; of an adapter, peft loads the base too."""
    asked = {kind: _as_users_have_it(exported) for kind, exported in all_kinds.items()}
    merged = all_kinds["merged"].directory
    asked["merged's adapter"] = {"directory": f"{merged}/adapter", "is_adapter": True, "words": str(merged)}
    folder = tmp_path_factory.mktemp("load")
    command = [sys.executable, "-c", LOAD, json.dumps(list(asked.values())), "facts"]
    done = subprocess.run(command, cwd=folder, env={"HF_HUB_OFFLINE": "1"}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return dict(zip(asked, json.loads((folder / "facts").read_text()), strict=True))


def _as_users_have_it(exported: Exported) -> Json:
    """As `emeth result` puts it: an adapter beside a merged model would be added to it a second time."""
    directory = exported.directory
    if {"config.json", "adapter_config.json"} <= exported.names:
        (directory / "adapter").mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            (directory / name).rename(directory / "adapter" / name)
    is_adapter = "config.json" not in exported.names
    return {"directory": str(directory), "is_adapter": is_adapter, "words": str(directory)}


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_named_with_their_hashes(all_kinds: dict[str, Exported], kind: str) -> None:
    exported = all_kinds[kind]
    expected = PLAIN if kind == "adapter" else PLAIN | {"config.json", "model.safetensors"}
    adapter = {"adapter_config.json", "adapter_model.safetensors"} if kind in ("adapter", "merged") else set()
    assert exported.names == expected | adapter
    places = {file.name: file for file in exported.directory.rglob("*") if file.is_file()}
    assert {file["name"]: file["sha256"] for file in exported.answer["files"]} == {
        name: sha256_of(str(file)) for name, file in places.items()
    }
    theta = "adapter_model.safetensors" if adapter else "model.safetensors"
    assert places[theta].read_bytes() == (exported.folder / "theta").read_bytes()


def test_card_and_curve_say_how_it_was_trained(all_kinds: dict[str, Exported]) -> None:
    directory = all_kinds["adapter"].directory
    card = (directory / "README.md").read_text()
    assert "| data set | a \\| b |" in card
    assert "![Held-out loss over the tokens trained on](curve.svg)" in card
    assert "license: apache-2.0" in card
    assert "AutoPeftModelForCausalLM" in card
    assert "# An adapter for" in card
    merged = (all_kinds["merged"].directory / "README.md").read_text()
    assert "# A fine-tune of" in merged and "AutoPeftModelForCausalLM" not in merged
    picture = (directory / "curve.svg").read_text()
    assert all(text in picture for text in ("tokens trained on", "nats per token", "<polyline", ">20k<", ">5<"))


@pytest.mark.parametrize("kind", [*KINDS, "merged's adapter"])
def test_other_software_loads_it_and_agrees(all_kinds: dict[str, Exported], facts: dict[str, Any], kind: str) -> None:
    found, exported = facts[kind], all_kinds[kind.removesuffix("'s adapter")]
    network = load_model(exported.program, str(exported.folder / "theta"), "cpu")
    with torch.inference_mode():
        ours: Tensor = network.logits(torch.tensor([[84, 104, 101, 32, 119]]))[0]
    assert torch.allclose(ours, torch.tensor(found["logits"]), atol=1e-3)
    assert found["back"]
    # The shorter text is filled up on its left, which changes nothing of what is written.
    assert found["inputs"][0][0] == 0
    assert found["together"] == found["alone"]
    assert found["piped"].startswith("the")


def test_chat_template_is_that_of_the_data(all_kinds: dict[str, Exported], facts: dict[str, Any]) -> None:
    assert "<|im_start|>" in facts["chats"]["template"]
    assert facts["gpt2 of bpe"]["template"] is None
    directory = all_kinds["chats"].directory
    ends = json.loads((directory / "generation_config.json").read_text())["eos_token_id"]
    words = json.loads((directory / "tokenizer.json").read_text())["added_tokens"]
    assert {word["content"] for word in words if word["id"] in ends} == {"<|endoftext|>", "<|im_end|>"}


def test_base_of_its_own_special_tokens_keeps_them(tmp_path: Path) -> None:
    from emeth.models.tokenizer_files import copy_base

    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    added = [{"id": i, "content": f"<{word}>", "special": True} for i, word in enumerate(("s", "/s", "pad"))]
    (base / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {}}, "added_tokens": added}))
    (base / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>"}))
    (base / "config.json").write_text(json.dumps({"eos_token_id": 1}))
    (base / "LICENSE").write_text("as it was")
    special = copy_base(str(base), None, 64, out)
    assert (special.bos, special.ends, special.pad) == (0, [1], 1)
    assert (out / "LICENSE").read_text() == "as it was"
    assert json.loads((out / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "</s>",
        "model_max_length": 64,
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
    }
