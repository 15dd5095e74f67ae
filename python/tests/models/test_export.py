"""The exported directory, loaded by `transformers` and by the `generate` child."""

import json
from pathlib import Path

import pytest
import torch

from emeth.children.generate import continue_tokens
from emeth.data.data import prepare
from emeth.files.codec import raw, theta_layout
from emeth.files.tensors import sha256_of, write_tensors
from emeth.models.evaluate import read_shape
from emeth.models.gpt2 import Gpt2Program, initial_tensors, layout
from emeth.models.program import load_model
from emeth.wire.events import Failure
from emeth.wire.parse import parse
from emeth.wire.spec import GenerateSpec, Params
from tests.child import Child, Json, coordinate_spec, make_params, sample_text, source

TOKENIZERS = {"byte": {"type": "byte"}, "bpe": {"type": "bpe", "vocabSize": 300}}


@pytest.fixture(scope="module", params=TOKENIZERS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Json]:
    """A directory exported by a real child, and its answer."""
    folder = tmp_path_factory.mktemp("export")
    changes = {"tokenizer": TOKENIZERS[request.param]}
    params = parse(Params, make_params(**changes))
    (folder / "data.txt").write_bytes(sample_text())
    shape = params.shape(prepare(params, source(folder / "data.txt", folder)).vocab_size)
    tensors = (raw(5 * tensor) for _, tensor in initial_tensors(shape, 3))
    write_tensors(str(folder / "theta"), theta_layout(layout(shape)), tensors)
    with Child(coordinate_spec(folder, **changes)) as child:
        child.event()
        card = {"dataset": "a | b", "validation loss": 1.25}
        answer = child.ask("export", theta=str(folder / "theta"), directory=str(folder / "hf"), card=card)
        assert answer["type"] == "exported", answer
        losses = [
            child.ask("evaluate", model=model, maxSequences=0)
            for model in ({"theta": str(folder / "theta")}, {"directory": str(folder / "hf")})
        ]
        assert losses[0]["loss"] == losses[1]["loss"]
        assert (losses[0]["lossPerByte"] < losses[0]["loss"]) == (request.param == "bpe")
    return folder, answer


def test_files_are_named_with_their_hashes(exported: tuple[Path, Json]) -> None:
    folder, answer = exported
    assert {file["name"] for file in answer["files"]} == {file.name for file in (folder / "hf").iterdir()}
    for file in answer["files"]:
        assert file["sha256"] == sha256_of(str(folder / "hf" / file["name"]))
    assert sha256_of(str(folder / "hf" / "model.safetensors")) == sha256_of(str(folder / "theta"))
    assert "| dataset | a \\| b |" in (folder / "hf" / "README.md").read_text()


def test_transformers_loads_the_model_and_agrees(exported: tuple[Path, Json]) -> None:
    from transformers import AutoModelForCausalLM

    directory = str(exported[0] / "hf")
    theirs, report = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    shape = read_shape(directory)
    ours = load_model(Gpt2Program(shape), f"{directory}/model.safetensors", "cpu")
    tokens = torch.randint(shape.vocab_size, (3, 16), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(ours.logits(tokens), theirs.eval()(tokens).logits, atol=1e-4)


def test_transformers_loads_the_tokenizer_and_agrees(exported: tuple[Path, Json]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(exported[0] / "hf"))
    text = "The whale, 東京 and\n\n naïve\tcafé 🐳 "
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    if len(tokenizer) == 256:
        assert bytes(ids) == text.encode()


GENERATE = {
    "kind": "generate",
    "device": "cpu",
    "threads": 1,
    "workDir": "/tmp",
    "prompt": "the whale",
    "maxNewTokens": 40,
    "temperature": 0.8,
    "topK": 20,
    "seed": 4,
}


def test_generate_continues_the_prompt(exported: tuple[Path, Json]) -> None:
    with Child(GENERATE | {"directory": str(exported[0] / "hf")}) as child:
        assert child.event()["type"] == "ready"
        text = child.event()["text"]
        assert child.end() == 0
    assert text.startswith("the whale")
    assert len(text) > len("the whale")


def test_generate_depends_on_seed_and_temperature(exported: tuple[Path, Json]) -> None:
    directory = str(exported[0] / "hf")
    model = load_model(Gpt2Program(read_shape(directory)), f"{directory}/model.safetensors", "cpu")

    def sample(**changes: object) -> list[int]:
        spec = parse(GenerateSpec, GENERATE | {"directory": directory} | changes)
        return continue_tokens(model, [3], spec, end=None)

    assert len(sample()) == 41
    assert sample() == sample()
    assert sample(seed=5) != sample()
    assert sample(temperature=0) == sample(temperature=0, seed=9) == sample(topK=1)
    assert len(sample(topK=0, temperature=10)) == 41


def test_generate_throws_when_no_model_is_there(tmp_path: Path) -> None:
    with Child(GENERATE | {"directory": str(tmp_path)}) as child:
        assert child.end() == 64


def test_read_shape_throws(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"n_layer": 1}))
    with pytest.raises(Failure):
        read_shape(str(tmp_path))
