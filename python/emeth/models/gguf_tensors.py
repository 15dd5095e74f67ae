"""Which tensors a GGUF file has, and how the weights of a Hugging Face directory become them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, get_tensor_name_map, quants
from gguf.constants import MODEL_ARCH
from numpy.typing import NDArray

from emeth.models.gguf_special import not_covered

Quant = Literal["q8_0", "f16", "f32"]
Config = dict[str, Any]
Numbers = NDArray[np.float32]

_KINDS: dict[Quant, Kind] = {"q8_0": Kind.Q8_0, "f16": Kind.F16, "f32": Kind.F32}
# A row of Q8_0 is cut into blocks of this many numbers.
_Q8_BLOCK = 32

# model_type of config.json → the architecture of llama.cpp that computes the same.
ARCHITECTURES = {
    "gpt2": MODEL_ARCH.GPT2,
    "llama": MODEL_ARCH.LLAMA,
    "mistral": MODEL_ARCH.LLAMA,
    "qwen2": MODEL_ARCH.QWEN2,
    "qwen3": MODEL_ARCH.QWEN3,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One tensor of the file: where its numbers come from, and how they are stored."""

    source: str
    name: str
    shape: tuple[int, ...]
    kind: Kind


def read_config(directory: str) -> Config:
    """The config.json of a whole model's directory."""
    config: Config = json.loads(Path(directory, "config.json").read_text(encoding="utf-8-sig"))
    return config


def architecture_of(config: Config) -> MODEL_ARCH:
    """The architecture of llama.cpp. Raises Failure for a model that GGUF files of this program do not cover."""
    model_type = config.get("model_type")
    found = ARCHITECTURES.get(str(model_type))
    if found is None:
        raise not_covered(f"models of type {model_type!r}; it covers {', '.join(ARCHITECTURES)}")
    scaling = _rope(config).get("rope_type", "default")
    if scaling != "default":
        raise not_covered(f"rotary positions scaled by {scaling!r}")
    window = config.get("sliding_window")
    if config.get("use_sliding_window", model_type == "mistral") and window and window < _context(config):
        raise not_covered(f"attention through a sliding window of {window} tokens")
    return found


def describe(writer: GGUFWriter, config: Config, quant: Quant) -> None:
    """Write what a reader needs besides the tensors: sizes, epsilon, rotary base, kind of file."""
    if config["model_type"] == "gpt2":
        width = config["n_embd"]
        writer.add_block_count(config["n_layer"])
        writer.add_embedding_length(width)
        writer.add_feed_forward_length(config.get("n_inner") or 4 * width)
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config.get("layer_norm_epsilon", 1e-5))
    else:
        heads = config["num_attention_heads"]
        size = config.get("head_dim") or config["hidden_size"] // heads
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(heads)
        writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
        writer.add_key_length(size)
        writer.add_value_length(size)
        writer.add_rope_dimension_count(size)
        writer.add_rope_freq_base(float(_rope(config).get("rope_theta", 10000.0)))
        writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    writer.add_context_length(_context(config))
    writer.add_vocab_size(config["vocab_size"])
    # LlamaFileType: all F32, mostly F16, mostly Q8_0.
    writer.add_file_type({"f32": 0, "f16": 1, "q8_0": 7}[quant])
    writer.add_quantization_version(2)


class Weights:
    """The tensors of a Hugging Face directory, read one at a time from one safetensors file or several."""

    def __init__(self, directory: str) -> None:
        from safetensors import safe_open

        index = Path(directory, "model.safetensors.index.json")
        names = {"model.safetensors"}
        if index.is_file():
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        self._files: dict[str, Any] = {}
        for name in sorted(names):
            file: Any = safe_open(str(Path(directory, name)), "pt")
            self._files |= dict.fromkeys(file.keys(), file)

    def names(self) -> list[str]:
        return list(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._files[name].get_slice(name).get_shape())

    def read(self, name: str) -> Numbers:
        numbers: Numbers = self._files[name].get_tensor(name).float().numpy()
        return numbers


def plan_tensors(weights: Weights, config: Config, quant: Quant) -> list[Plan]:
    """The tensors of the file, in the order they are written. Raises Failure for one that has no place in it."""
    layers = config["n_layer" if config["model_type"] == "gpt2" else "num_hidden_layers"]
    places = get_tensor_name_map(architecture_of(config), layers)
    plans = []
    for source in weights.names():
        if source.endswith((".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")):
            continue  # masks and angles, which old files hold beside the weights
        if source == "lm_head.weight" and config.get("tie_word_embeddings", True):
            continue
        # Files of the first GPT-2 models name their tensors without the prefix.
        name = places.get_name(source, (".weight", ".bias")) or places.get_name(
            f"transformer.{source}", (".weight", ".bias")
        )
        if name is None:
            raise not_covered(f"the tensor {source}")
        shape = weights.shape(source)
        shape = shape[::-1] if _is_transposed(source, config) else shape
        plans.append(Plan(source, name, shape, _kind(name, shape, quant)))
    return plans


def stored(weights: Weights, plan: Plan, config: Config) -> NDArray[Any]:
    """One tensor as the file holds it."""
    numbers = weights.read(plan.source)
    if _is_transposed(plan.source, config):
        numbers = numbers.T
    elif config["model_type"] in ("llama", "mistral"):
        numbers = _pair_up(numbers, plan.source, config)
    packed: NDArray[Any] = quants.quantize(np.ascontiguousarray(numbers), plan.kind)
    return packed


def num_bytes(plan: Plan) -> int:
    """Bytes of one tensor in the file."""
    *rows, columns = quants.quant_shape_to_byte_shape(plan.shape, plan.kind)
    return int(np.prod(rows, dtype=np.int64)) * columns


def _pair_up(numbers: Numbers, source: str, config: Config) -> Numbers:
    """Llama's queries and keys: numbers that turn together are neighbours here, and half a head apart there."""
    heads = config["num_attention_heads"]
    if source.endswith(("k_proj.weight", "k_proj.bias")):
        heads = config.get("num_key_value_heads") or heads
    elif not source.endswith(("q_proj.weight", "q_proj.bias")):
        return numbers
    halves = numbers.reshape(heads, 2, numbers.shape[0] // heads // 2, *numbers.shape[1:])
    pairs: Numbers = halves.swapaxes(1, 2).reshape(numbers.shape)
    return pairs


def _is_transposed(source: str, config: Config) -> bool:
    """GPT-2 files have the weights of linear layers input × output."""
    is_linear = source.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
    return config["model_type"] == "gpt2" and is_linear


def _kind(name: str, shape: tuple[int, ...], quant: Quant) -> Kind:
    # Vectors and positions are small, and llama.cpp adds them as they are.
    if len(shape) < 2 or name.startswith("position_embd"):
        return Kind.F32
    if quant == "q8_0" and shape[-1] % _Q8_BLOCK:
        return Kind.F16
    return _KINDS[quant]


def _rope(config: Config) -> Config:
    """Rotary settings: transformers 5 keeps them under `rope_parameters`, earlier ones at the top."""
    found: Config = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if "rope_theta" in config:
        found.setdefault("rope_theta", config["rope_theta"])
    if "type" in found:
        found.setdefault("rope_type", found["type"])
    return found


def _context(config: Config) -> int:
    return int(config["n_positions" if config["model_type"] == "gpt2" else "max_position_embeddings"])
