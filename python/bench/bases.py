"""Bases with real shapes and random weights, and texts of a real vocabulary, made once and kept in `.cache/bench`."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "bench"
BOOK = ROOT / "node_modules" / "@stdlib" / "datasets-moby-dick" / "data"
# Of GPT-2; the tokenizer's own ids end before.
GPT2_VOCABULARY = 50257
LLAMA_VOCABULARY = 32000
_LEARNT = 16384
_END = "<|endoftext|>"


def open_base(kind: str, short: bool) -> Path:
    """The directory of a base: `gpt2` (124M) or `llama` (134M); with `short` of the same shape, but small."""
    directory = CACHE / f"{kind}-{'short' if short else 'real'}"
    if (directory / "model.safetensors").exists():
        return directory
    part = directory.with_name(directory.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _make_model(kind, short).save_pretrained(part)
    shutil.copy(open_tokenizer(), part / "tokenizer.json")
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": _END, "bos_token": _END, "pad_token": _END}
    (part / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    part.rename(directory)
    return directory


def _make_model(kind: str, short: bool) -> Any:  # noqa: ANN401 - the library has no types
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    layers, width = (2, 64) if short else (12, 768)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    if kind == "gpt2":
        still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        shape = {"n_layer": layers, "n_embd": width, "n_head": layers, "vocab_size": GPT2_VOCABULARY}
        return GPT2LMHeadModel(GPT2Config(**shape, **still, **ends))
    sizes = {"hidden_size": width, "intermediate_size": width * 8 // 3, "max_position_embeddings": 1024}
    heads = {"num_hidden_layers": layers, "num_attention_heads": layers, "num_key_value_heads": layers}
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, **ends, vocab_size=LLAMA_VOCABULARY))


def open_tokenizer() -> Path:
    """A byte-level BPE learnt from Moby-Dick."""
    path = CACHE / "tokenizer.json"
    if not path.exists():
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        marks = [_END, "<|im_start|>", "<|im_end|>"]
        options = {"vocab_size": _LEARNT, "special_tokens": marks, "initial_alphabet": alphabet}
        tokenizer.train_from_iterator(_sentences(), trainers.BpeTrainer(**options, show_progress=False))
        path.parent.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(path))
    return path


def _sentences() -> list[str]:
    chapters = sorted(BOOK.glob("*.txt"))
    text = " ".join(chapter.read_text(encoding="utf-8") for chapter in chapters)
    return [sentence.strip() for sentence in text.replace("\n", " ").split(". ") if len(sentence) > 20]


def open_chats(num_bytes: int) -> Path:
    """A JSONL of conversations, each of two to six messages of one to five sentences."""
    path = CACHE / f"chats-{num_bytes}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            for line in _chats(num_bytes):
                file.write(line)
        part.rename(path)
    return path


def _chats(num_bytes: int) -> Iterator[str]:
    sentences, draw, written = _sentences(), random.Random(0), 0  # noqa: S311 - no secret
    while written < num_bytes:
        turns = draw.choice((2, 4, 6))
        texts = [". ".join(draw.choices(sentences, k=draw.randint(1, 5))) + "." for _ in range(turns)]
        messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
        line = json.dumps({"messages": messages}, ensure_ascii=False) + "\n"
        written += len(line.encode())
        yield line
