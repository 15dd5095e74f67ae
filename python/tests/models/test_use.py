"""Using finished models: text and answers from the `generate` child, losses from `measure`."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from emeth.files.codec import raw
from emeth.files.tensors import write_tensors
from emeth.models.program import Program, load_model, open_program
from emeth.models.result import find_result, load_result
from emeth.models.text import Text
from emeth.models.writing import Choice, Stops, Unfolding, write_tokens
from emeth.wire.events import Failure
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.bases import VOCABULARY, change_config, make_base
from tests.child import Child, Json, base_params, sample_text
from tests.models.results import CHATS, Exported, export_kind

SPEC: Json = {"device": "cpu", "threads": 1}
WRITE: Json = {"maxNewTokens": 12, "temperature": 0, "topK": 0, "seed": 4}


@pytest.fixture(scope="module", params=["gpt2 of bpe", "full", "adapter", "merged"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Directories of the kinds that are opened in different ways."""
    return export_kind(request.param, tmp_path_factory.mktemp("use"), chats=True)


def place_of(exported: Exported) -> Json:
    """The directory, and the base where the spec needs it."""
    place = {"directory": str(exported.directory), "workDir": str(exported.folder / "use")}
    return place | ({} if "config.json" in exported.names else {"base": str(exported.base)})


def ask(child: Child, **fields: object) -> tuple[str, Json]:
    """Sends a text to write; all pieces joined, and the answer."""
    child.send("write", **(WRITE | fields))
    pieces = []
    while (event := child.event())["type"] == "piece":
        assert event["text"]
        pieces.append(event["text"])
    return "".join(pieces), event


def test_generate_writes_what_transformers_does(exported: Exported) -> None:
    with Child(SPEC | place_of(exported) | {"kind": "generate"}) as child:
        assert child.event()["type"] == "ready"
        pieces, answer = ask(child, prompt="Where is the")
        assert answer["type"] == "written", answer
        assert pieces == answer["text"]
        messages = [{"role": "user", "content": "Where is the ship?"}]
        assert ask(child, messages=messages)[1]["type"] == "written"
        assert child.close() == 0
    result = find_result(str(exported.directory), None if exported.base is None else str(exported.base))
    text, model = Text(result), load_result(result, "cpu")
    start = text.start_of("Where is the")
    theirs = model.generate(
        torch.tensor([start]), attention_mask=torch.ones(1, len(start)), do_sample=False, max_new_tokens=12
    )
    assert answer["text"] == text.tokenizer.decode(theirs[0, len(start) :].tolist())


def test_measure_gives_the_loss_of_answers_alone(exported: Exported) -> None:
    data = exported.folder / "chats.jsonl"
    data.write_text("\n".join(json.dumps(chat) for chat in CHATS[:9]))
    spec = SPEC | place_of(exported) | {"kind": "measure", "dataset": str(data), "format": "auto", "context": 16}
    with Child(spec) as child:
        assert child.event()["type"] == "ready"
        found = child.event()
        assert child.end() == 0
    assert found["onAnswers"] is True
    assert found["texts"] == 9
    result = find_result(str(exported.directory), None if exported.base is None else str(exported.base))
    assert 9 < found["tokens"] < 9 * len("captain!<|im_end|>\n") + 9
    assert math.isfinite(found["loss"]) and found["loss"] > 0
    assert Text(result).template is not None


def test_measure_agrees_with_transformers_on_text(tmp_path: Path) -> None:
    exported = export_kind("gpt2 of bytes", tmp_path)
    data = tmp_path / "text"
    data.write_bytes(sample_text(100))
    with Child(
        SPEC | place_of(exported) | {"kind": "measure", "dataset": str(data), "format": "auto", "context": 16}
    ) as child:
        child.event()
        found = child.event()
    model: Any = load_result(find_result(str(exported.directory), None), "cpu")
    ids = list(sample_text(100))
    windows = [ids[start : start + 17] for start in range(0, 99, 16)]
    losses = [(len(part) - 1, float(model(torch.tensor([part]), labels=torch.tensor([part])).loss)) for part in windows]
    # What parts texts is learnt as well.
    assert found["tokens"] == sum(count for count, _ in losses) + (found["tokens"] - 99)
    assert found["loss"] == pytest.approx(sum(count * loss for count, loss in losses) / 99, rel=0.02)


def test_same_seed_writes_the_same(exported: Exported) -> None:
    result = find_result(str(exported.directory), None if exported.base is None else str(exported.base))
    model = load_result(result, "cpu")

    def sample(temperature: float, top_k: int = 0, seed: int = 0, count: int = 30) -> list[int]:
        tokens = write_tokens(model, [3], Choice(temperature=temperature, top_k=top_k, seed=seed))
        return [next(tokens) for _ in range(count)]

    assert sample(0.8) == sample(0.8) != sample(0.8, seed=5)
    assert sample(0) == sample(0, seed=9) == sample(5, top_k=1)
    # Beyond its places the model goes on with the later half of the text.
    limit = model.config.max_position_embeddings
    assert len(sample(1, count=2 * limit + 3)) == 2 * limit + 3


def test_characters_are_told_once_they_are_whole() -> None:
    data = "naïve 東京 🐳!".encode()
    unfolding = Unfolding(lambda ids: bytes(ids).decode("utf-8", "replace"), list(b"before "))
    pieces = [unfolding.add(byte) for byte in data]
    assert "".join(pieces) == data.decode()
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in pieces)
    assert [len(piece) for piece in pieces if piece] == [1] * len(data.decode())
    assert unfolding.end() == ""


def test_broken_characters_do_not_hold_back_what_follows() -> None:
    unfolding = Unfolding(lambda ids: bytes(ids).decode("utf-8", "replace"), [])
    told = "".join(unfolding.add(byte) for byte in b"\xff\xfe\xff\xfe\xffab")
    assert told.endswith("ab")
    assert [unfolding.add(byte) for byte in b"\xe6\x9d"] == ["", ""]
    assert unfolding.end() == "\N{REPLACEMENT CHARACTER}"


def test_stop_words_end_a_text_and_are_not_told() -> None:
    stops = Stops(["<|im_end|>", "###"])
    assert [stops.add(piece) for piece in ("a <", "b", " <|im", "_e")] == ["a ", "<b", " ", ""]
    assert stops.add("nd|> and more") == ""
    assert stops.found
    held = Stops(["###"])
    assert [held.add("x##"), held.end(), held.found] == ["x", "##", False]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ([], "model/bad-directory"),
        (["adapter_config.json"], "model/bad-directory"),
        (["adapter_config.json", "adapter_model.safetensors"], "model/no-base"),
        (["config.json"], "base/"),
    ],
)
def test_directories_that_hold_no_model_are_refused(tmp_path: Path, names: list[str], code: str) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(Failure) as failure:
        find_result(str(tmp_path), None)
    assert failure.value.code.startswith(code)


def test_adapter_on_another_base_is_refused(tmp_path: Path) -> None:
    exported = export_kind("adapter", tmp_path)
    other = make_base("gpt2", tmp_path / "other")
    with pytest.raises(Failure, match="does not fit this base"):
        load_result(find_result(str(exported.directory), str(other)), "cpu")


def initial_model(base: Path, folder: Path) -> tuple[Program, str]:
    """The program that tunes a base, and its θ_0."""
    program = open_program(parse(Params, base_params(tune="full")), VOCABULARY, str(base))
    theta = write_tensors(str(folder / "theta"), program.layout, (raw(tensor) for _, tensor in program.initial(1)))
    return program, theta.path


def test_gemma_2_computes_with_its_bounded_attention(tmp_path: Path) -> None:
    base = make_base("gemma2", tmp_path / "base")
    change_config(base, attn_logit_softcapping=0.5)
    tokens = torch.randint(VOCABULARY, (2, 16), generator=torch.Generator().manual_seed(0))
    network = load_model(*initial_model(base, tmp_path), "cpu")
    with torch.inference_mode():
        used = load_result(find_result(str(base), None), "cpu")(tokens).logits
        assert torch.allclose(used, network.logits(tokens), atol=2e-5)


def test_adapter_for_more_layers_than_the_base_has_is_refused(tmp_path: Path) -> None:
    made = export_kind("adapter", tmp_path)
    assert made.base is not None
    theirs = AutoModelForCausalLM.from_pretrained(made.base)
    theirs.model.layers = theirs.model.layers[:1]
    theirs.config.layer_types = theirs.config.layer_types[:1]
    theirs.config.num_hidden_layers = 1
    theirs.save_pretrained(tmp_path / "shallow")
    shutil.copy(made.base / "tokenizer.json", tmp_path / "shallow")
    with pytest.raises(Failure, match="has no place for") as failure:
        load_result(find_result(str(made.directory), str(tmp_path / "shallow")), "cpu")
    assert failure.value.code == "model/other-base"
