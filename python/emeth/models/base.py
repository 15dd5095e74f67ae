"""A base directory, checked from its names, its config.json and the heads of its safetensors files alone.

Needs neither PyTorch nor transformers, so that a base which nobody could train is refused in a moment, and before any
money is locked. Nothing is unpickled, no code of the directory is run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emeth.data.base_tokenizer import TOKENIZER_FILES
from emeth.files.tensors import TensorFileError, TensorReader, TensorSpec
from emeth.wire.events import Failure

# Class → model_type of what can be trained: decoders of transformers whose loss, names and export are tested here.
ARCHITECTURES = {
    "GPT2LMHeadModel": "gpt2",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3_text",
    "SmolLM3ForCausalLM": "smollm3",
    "PhiForCausalLM": "phi",
    "Phi3ForCausalLM": "phi3",
}
FLOATS = ("F32", "F16", "BF16")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """Where a tensor of a base lies, and its name, dtype and shape there."""

    path: str
    name: str
    spec: TensorSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """What the files of a base directory say."""

    directory: str
    architecture: str
    config: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]


def read_base(directory: str) -> Base:
    """Read and check a base directory. Raises a Failure `base/…` that says what is wrong with it."""
    names = sorted(file.name for file in Path(directory).iterdir()) if Path(directory).is_dir() else []
    if "config.json" not in names and "adapter_config.json" in names:
        raise Failure("base/adapter", "The base is an adapter; name the model it was made for, or merge the two first.")
    if "config.json" not in names:
        raise Failure("base/no-config", "The base holds no config.json; give a directory that transformers can load.")
    config = _read_json(directory, "config.json")
    architecture = _check_config(config)
    if not any(name in names for name in TOKENIZER_FILES):
        wanted = ", ".join(TOKENIZER_FILES)
        raise Failure("base/no-tokenizer", f"The base holds no tokenizer; one of these must lie in it: {wanted}.")
    return Base(directory=directory, architecture=architecture, config=config, tensors=_read_heads(directory, names))


def _check_config(config: Mapping[str, Any]) -> str:
    if "auto_map" in config:
        message = "The base wants to run code of its own (`auto_map` in config.json); only classes of transformers run."
        raise Failure("base/remote-code", message)
    if "quantization_config" in config:
        raise Failure("base/quantised", "The base is quantised; give the model in fp32, bf16 or fp16.")
    found = config.get("architectures")
    known = {kind: name for name, kind in ARCHITECTURES.items()}
    architecture = found[0] if isinstance(found, list) and found else known.get(str(config.get("model_type")))
    if architecture not in ARCHITECTURES or config.get("model_type") != ARCHITECTURES[architecture]:
        asked = f"{architecture} (model_type {config.get('model_type')!r})"
        wanted = ", ".join(ARCHITECTURES)
        raise Failure("base/architecture", f"The base is a {asked}; what can be trained is {wanted}.")
    return str(architecture)


def _read_json(directory: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(directory, name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise Failure("base/bad-config", f"{name} of the base is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise Failure("base/bad-config", f"{name} of the base is not a JSON object.")
    return value


def _read_heads(directory: str, names: list[str]) -> dict[str, StoredTensor]:
    if _WEIGHTS in names:
        return _read_head(f"{directory}/{_WEIGHTS}")
    if _INDEX in names:
        return _read_shards(directory, names)
    pickled = [name for name in names if name.endswith(_PICKLED)]
    if pickled:
        message = (
            f"The base holds its weights only as {pickled[0]}, which can hide code. Save it as safetensors first: "
            "AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW), and copy the tokenizer's files."
        )
        raise Failure("base/pickled", message)
    raise Failure("base/no-weights", f"The base holds neither {_WEIGHTS} nor {_INDEX}.")


def _read_shards(directory: str, names: list[str]) -> dict[str, StoredTensor]:
    places = _read_json(directory, _INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise Failure("base/bad-weights", f"{_INDEX} of the base has no weight_map.")
    shards: dict[str, dict[str, StoredTensor]] = {}
    for file in sorted({str(place) for place in places.values()}):
        if file not in names:
            raise Failure("base/bad-weights", f"{_INDEX} of the base names {file!r}, which does not lie beside it.")
        shards[file] = _read_head(f"{directory}/{file}")
    tensors = {}
    for name, place in places.items():
        if name not in shards[place]:
            raise Failure("base/bad-weights", f"{_INDEX} of the base says that {name} lies in {place}; it does not.")
        tensors[name] = shards[place][name]
    return tensors


def _read_head(path: str) -> dict[str, StoredTensor]:
    try:
        with TensorReader(path) as file:
            return {name: StoredTensor(path=path, name=name, spec=spec) for name, spec in file.layout.items()}
    except TensorFileError as error:
        raise Failure("base/bad-weights", f"{Path(path).name} of the base: {error}") from error
