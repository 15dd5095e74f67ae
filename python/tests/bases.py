"""Small base directories, made on the spot: python tests/bases.py KIND DIRECTORY [DTYPE]."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from emeth.data.tokenizer import Bytes

VOCABULARY, POSITIONS = 260, 64
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
_GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": POSITIONS,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
# Kind → config class of transformers and what its config says.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2Config", _GPT2),
    "gpt2-old": ("GPT2Config", _GPT2),
    "llama": ("LlamaConfig", _SIZES | {"tie_word_embeddings": False}),
    "llama-tied": ("LlamaConfig", _SIZES | {"tie_word_embeddings": True}),
    "mistral": ("MistralConfig", _SIZES | {"sliding_window": 8}),
    "qwen2": ("Qwen2Config", _SIZES | {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", _SIZES | {"head_dim": 16}),
    "gemma": ("GemmaConfig", _SIZES | {"head_dim": 16}),
    "gemma2": ("Gemma2Config", _SIZES | {"head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16}),
    "gemma3": ("Gemma3TextConfig", _SIZES | {"head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16}),
    "smollm3": ("SmolLM3Config", _SIZES | {"no_rope_layer_interval": 2}),
    "phi": ("PhiConfig", _SIZES),
    "phi3": ("Phi3Config", _SIZES),
}


def make_base(kind: str, directory: Path, dtype: str = "float32", **save: Any) -> Path:  # noqa: ANN401
    """Write a base of random weights that are large enough to matter, with a tokenizer of bytes."""
    import transformers

    name, settings = KINDS[kind]
    torch.manual_seed(len(kind))
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**settings))
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(5 * weight if weight.dim() > 1 else weight + 0.1 * torch.randn_like(weight))
    model.to(getattr(torch, dtype)).save_pretrained(directory, **save)
    if kind == "gpt2-old":
        _make_old(directory)
    Bytes().save(str(directory / "tokenizer.json"))
    return directory


def change_config(directory: Path, **changes: object) -> None:
    """Set values of config.json."""
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _make_old(directory: Path) -> None:
    """As the first files of GPT-2 are: names without `transformer.`, and the causal masks among the weights."""
    path = directory / "model.safetensors"
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(path).items()}
    for layer in range(2):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(POSITIONS, POSITIONS).tril().to(torch.uint8)[None, None]
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, path)


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    make_base(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:4])
