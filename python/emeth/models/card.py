"""The model card: what was trained, on what, how well, and how to use it."""

import re
from pathlib import Path

from emeth.models.program import Program
from emeth.wire.commands import Export
from emeth.wire.params import ModelShape, Params

_USE_WHOLE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
inputs = tokenizer(["Once", "The sea"], return_tensors="pt", padding=True)
print(tokenizer.batch_decode(model.generate(**inputs), skip_special_tokens=True))
```"""
_USE_ADAPTER = """```python
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoPeftModelForCausalLM.from_pretrained(".")  # loads its base too: `base_model_name_or_path`
inputs = tokenizer(["Once", "The sea"], return_tensors="pt", padding=True)
print(tokenizer.batch_decode(model.generate(**inputs), skip_special_tokens=True))
```"""
_USE_CHAT = """```python
chat = [{"role": "user", "content": "Hello!"}]
inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(tokenizer.decode(model.generate(**inputs)[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```"""


def write_card(command: Export, params: Params, program: Program, base: str | None) -> str:
    """The text of README.md, with the settings at its top that model hubs read."""
    is_adapter = params.lora is not None and not params.lora.merge
    picture = "![Held-out loss over the tokens trained on](curve.svg)\n\n" if command.curve else ""
    rows = "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in command.card.items())
    return f"""{_front(command, is_adapter, base)}
# {_title(command, is_adapter)}

{_describe(command, params, program)}
Trained on its requester's data by workers that averaged their steps; the facts below are bound to the job on chain by
its manifest.

{picture}| fact | value |
| --- | --- |
{rows}

## Use

{_USE_ADAPTER if is_adapter else _USE_WHOLE}

A tokenizer with a chat template writes conversations:

{_USE_CHAT}

`emeth generate .` writes with it, `emeth export . --gguf --out model.gguf` makes a file for llama.cpp.
"""


def _front(command: Export, is_adapter: bool, base: str | None) -> str:
    lines = ["---", f"library_name: {'peft' if is_adapter else 'transformers'}", "pipeline_tag: text-generation"]
    if command.base is not None and not command.base.name.startswith("sha256:"):
        lines += [f"base_model: {command.base.name}"]
        lines += [f"base_model_relation: {'adapter' if is_adapter else 'finetune'}"]
    licence = None if base is None else _licence(Path(base, "README.md"))
    lines += [] if licence is None else [f"license: {licence}"]
    return "\n".join([*lines, f"tags: [emeth{', lora' if is_adapter else ''}]", "---"])


def _licence(readme: Path) -> str | None:
    """The licence that a base's card names at its top."""
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^license:\s*([\w.+-]+)\s*$", front[1], re.MULTILINE) if front else None
    return found[1] if found else None


def _title(command: Export, is_adapter: bool) -> str:
    if command.base is None:
        return "A language model trained by Emeth"
    base = command.base.name if not command.base.name.startswith("sha256:") else "a model of its requester"
    return f"{'An adapter for' if is_adapter else 'A fine-tune of'} {base}"


def _describe(command: Export, params: Params, program: Program) -> str:
    model = params.model
    if isinstance(model, ModelShape):
        family = {"gpt2": "GPT-2", "llama": "Llama"}[model.family]
        shape = f"{model.layers} layers, {model.heads} heads, width {model.width}"
        what = f"A {family} style decoder: {shape}, context {model.context} tokens, vocabulary {program.vocab_size}"
        what += f" ({params.tokenizer.type} tokens)."
    else:
        revision = f" at {command.base.revision}" if command.base is not None and command.base.revision else ""
        name = command.base.name if command.base is not None else "its base"
        how = f"LoRA of rank {params.lora.r}" if params.lora is not None else "all weights"
        what = f"Tuned from {name}{revision} ({how}), on sequences of {model.context} tokens."
    return what


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
