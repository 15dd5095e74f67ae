"""Base directories that cannot be trained are refused with a reason, from their names and heads alone or while read."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from emeth.models.base import read_base
from emeth.wire.events import Failure
from tests.bases import change_config, make_base

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that can be trained; tests change copies of it."""
    return make_base("llama-tied", tmp_path_factory.mktemp("whole"))


def refusal(base: Path) -> Failure:
    with pytest.raises(Failure) as failure:
        read_base(str(base))
    return failure.value


def only_pickled(base: Path) -> None:
    (base / WEIGHTS).rename(base / "pytorch_model.bin")


def only_an_adapter(base: Path) -> None:
    (base / "config.json").rename(base / "adapter_config.json")


def with_a_broken_head(base: Path) -> None:
    (base / WEIGHTS).write_bytes(b"\xff" * 64)


def with_an_index(base: Path, index: object) -> None:
    (base / WEIGHTS).unlink()
    (base / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no config": ("base/no-config", lambda base: (base / "config.json").unlink(), "no config.json"),
    "config that is not JSON": ("base/bad-config", lambda base: (base / "config.json").write_text("{"), "not JSON"),
    "config that is a list": (
        "base/bad-config",
        lambda base: (base / "config.json").write_text("[]"),
        "not a JSON obj",
    ),
    "only an adapter": ("base/adapter", only_an_adapter, "is an adapter"),
    "only pickled weights": ("base/pickled", only_pickled, "pytorch_model.bin, which can hide code"),
    "no weights": ("base/no-weights", lambda base: (base / WEIGHTS).unlink(), "neither model.safetensors nor"),
    "code of its own": (
        "base/remote-code",
        lambda base: change_config(base, auto_map={"AutoModel": "x.Y"}),
        "auto_map",
    ),
    "quantised": ("base/quantised", lambda base: change_config(base, quantization_config={}), "is quantised"),
    "architecture not listed": (
        "base/architecture",
        lambda base: change_config(base, architectures=["T5ForConditionalGeneration"], model_type="t5"),
        "T5ForConditionalGeneration .*'t5'.*GPT2LMHeadModel, LlamaForCausalLM",
    ),
    "architecture of another model type": (
        "base/architecture",
        lambda base: change_config(base, architectures=["GPT2LMHeadModel"]),
        "GPT2LMHeadModel .model_type 'llama'",
    ),
    "no tokenizer": ("base/no-tokenizer", lambda base: (base / "tokenizer.json").unlink(), "no tokenizer"),
    "head that is no safetensors": ("base/bad-weights", with_a_broken_head, "The header claims"),
    "index without a map": ("base/bad-weights", lambda base: with_an_index(base, {}), "no weight_map"),
    "index that names an absent file": (
        "base/bad-weights",
        lambda base: with_an_index(base, {"weight_map": {"a": "../else.safetensors"}}),
        "'../else.safetensors', which does not lie beside it",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_directory_is_refused(case: str, whole: Path, tmp_path: Path) -> None:
    code, spoil, reason = BROKEN[case]
    base = tmp_path / "base"
    shutil.copytree(whole, base)
    spoil(base)
    failure = refusal(base)
    assert failure.code == code
    assert re.search(reason, str(failure)), failure


def test_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").code == "base/no-config"
