"""The result of a job: a Hugging Face directory that `transformers` loads without any code of this project."""

import json
from pathlib import Path

from emeth.data.tokenizer import END_OF_TEXT, Bytes, Tokenizer
from emeth.files.tensors import sha256_of
from emeth.models.gpt2 import Gpt2Program
from emeth.wire.events import Failure
from emeth.wire.model_shape import Shape
from emeth.wire.spec import Export, Params

NAMES = ("README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json")
FILES = (*NAMES, "tokenizer_config.json")


def export(command: Export, params: Params, shape: Shape, tokenizer: Tokenizer) -> list[dict[str, str | int]]:
    """Write the directory and list its files; `model.safetensors` is the θ file, byte for byte."""
    directory = Path(command.directory)
    directory.mkdir(parents=True, exist_ok=True)
    strangers = [file.name for file in directory.iterdir() if file.name not in FILES]
    if strangers:
        raise Failure("model/directory-in-use", f"{directory} already holds {strangers[0]}; name an empty directory.")
    end = None if isinstance(tokenizer, Bytes) else 0
    Gpt2Program(shape).write_weights(command.theta, directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    _write_json(directory / "config.json", _config(shape, end))
    # Without a limit transformers writes 256 tokens, more than a small model's positions.
    limit = {"max_new_tokens": max(1, shape.context // 2)}
    generation: dict[str, object] = {"bos_token_id": end, "eos_token_id": end, "do_sample": True, **limit}
    _write_json(directory / "generation_config.json", generation)
    _write_json(directory / "tokenizer_config.json", _tokenizer_config(shape, end))
    (directory / "README.md").write_text(_card(command.card, params, shape), encoding="utf-8")
    return [
        {"name": name, "sha256": sha256_of(str(directory / name)), "bytes": (directory / name).stat().st_size}
        for name in sorted(FILES)
    ]


def _config(shape: Shape, end: int | None) -> dict[str, object]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": shape.vocab_size,
        "n_positions": shape.context,
        "n_ctx": shape.context,
        "n_embd": shape.width,
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "n_inner": None,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "attn_pdrop": shape.dropout,
        "embd_pdrop": shape.dropout,
        "resid_pdrop": shape.dropout,
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "dtype": "float32",
        "use_cache": True,
    }


def _tokenizer_config(shape: Shape, end: int | None) -> dict[str, object]:
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": shape.context,
        "clean_up_tokenization_spaces": False,
    }
    if end is not None:
        config |= {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
    return config


def _card(facts: dict[str, str | float], params: Params, shape: Shape) -> str:
    rows = "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [gpt2, emeth]
---
# A language model trained by Emeth

A GPT-2 style decoder: {shape.layers} layers, {shape.heads} heads, width {shape.width}, context {shape.context} tokens,
vocabulary {shape.vocab_size} ({params.tokenizer.type} tokens). Trained on the requester's data by
workers that averaged their steps; the facts below are bound to the job on chain by its manifest.

| fact | value |
| --- | --- |
{rows}

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
inputs = tokenizer("Once", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100, do_sample=True)[0]))
```
"""


def _cell(value: str | float) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
