"""The most memory that a training child takes, for a handful of shapes; what jobs are planned with follows from it.

    cd python && python bench/memory.py [--only lora]

Each child trains two steps of one sequence in fp32 on a CPU. What a child takes that trains next to nothing of the
same kind is taken off: the libraries. `test/unit/domain/job-fit.test.ts` compares the figures with the plan.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.measures import most_bytes
from emeth.data.tokenizer import Bytes
from emeth.files.codec import raw
from emeth.files.tensors import TensorSpec, write_tensors
from emeth.models.program import open_program
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.child import Child, base_params, make_params

STEPS = 2


@dataclass(frozen=True)
class Case:
    """A shape, and how it is trained."""

    tune: str
    family: str
    layers: int
    width: int
    context: int
    vocabulary: int
    checkpointing: bool = False
    dtype: str = "float32"
    optimiser: str = "adamw"


NOTHING = {"layers": 1, "width": 32, "context": 16, "vocabulary": 260}
CASES = [
    Case("none", "gpt2", 4, 128, 128, 256),
    Case("none", "gpt2", 6, 384, 256, 256),
    Case("none", "gpt2", 4, 512, 1024, 4096),
    Case("none", "gpt2", 2, 256, 2048, 4096),
    Case("none", "gpt2", 2, 256, 256, 32768),
    Case("none", "gpt2", 12, 256, 1024, 256),
    Case("none", "gpt2", 12, 256, 1024, 256, checkpointing=True),
    Case("none", "llama", 6, 384, 256, 4096),
    Case("none", "llama", 8, 256, 1024, 256),
    Case("full", "gpt2", 6, 384, 512, 32768),
    Case("full", "llama", 8, 256, 1024, 32768, checkpointing=True),
    Case("lora", "gpt2", 12, 384, 512, 32768),
    Case("lora", "gpt2", 12, 384, 512, 32768, checkpointing=True),
    Case("lora", "llama", 12, 512, 512, 32768, dtype="bfloat16"),
    Case("lora", "llama", 12, 512, 512, 32768, checkpointing=True, dtype="bfloat16"),
    Case("none", "gpt2", 4, 128, 128, 256, optimiser="muon"),
    Case("none", "gpt2", 6, 384, 256, 256, optimiser="muon"),
    Case("none", "gpt2", 6, 512, 128, 4096, optimiser="muon"),
    Case("full", "llama", 8, 256, 1024, 32768, checkpointing=True, optimiser="muon"),
]


def make_base(case: Case, folder: Path) -> Path:
    """Write a base of random weights."""
    if case.family == "gpt2":
        sizes = {"n_embd": case.width, "n_layer": case.layers, "n_head": 4, "n_positions": case.context}
        config: Any = transformers.GPT2Config(vocab_size=case.vocabulary, **sizes)
    else:
        config = transformers.LlamaConfig(
            vocab_size=case.vocabulary,
            hidden_size=case.width,
            intermediate_size=3 * case.width,
            num_hidden_layers=case.layers,
            num_attention_heads=4,
            max_position_embeddings=case.context,
        )
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.to(getattr(torch, case.dtype)).save_pretrained(folder)
    Bytes().save(str(folder / "tokenizer.json"))
    return folder


def peak_bytes(case: Case) -> int:
    """The most memory that the child of a case held at once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changes: dict[str, Any] = {"batch": 1, "precision": "fp32", "gradientCheckpointing": case.checkpointing}
        changes["inner"] = {"optimiser": case.optimiser}
        model = {"context": case.context}
        base = None
        if case.tune == "none":
            model |= {"layers": case.layers, "width": case.width, "heads": 4}
            params = make_params(model=model | {"family": case.family}, **changes)
        else:
            lora = {"lora": {"r": 8, "alpha": 16, "dropout": 0, "targets": "auto", "merge": False}}
            more = lora if case.tune == "lora" else {}
            params = base_params(model=model, tune=case.tune, **changes, **more)
            base = str(make_base(case, folder / "base"))
        program = open_program(parse(Params, params), case.vocabulary, base)
        theta = write_tensors(str(folder / "theta"), program.layout, (raw(tensor) for _, tensor in program.initial(0)))
        size = (STEPS, 1, case.context + 1)
        dtype, kind = (np.uint8, "U8") if case.vocabulary <= 256 else (np.uint16, "U16")
        tokens = np.random.default_rng(0).integers(0, case.vocabulary, size, dtype=dtype)
        shard = write_tensors(str(folder / "shard"), {"tokens": TensorSpec(kind, size)}, [tokens])
        spec = {"kind": "train", "device": "cpu", "threads": 1, "workDir": str(folder), "jobId": "0xab"}
        spec |= {"params": params, "vocabSize": case.vocabulary, "totalBlocks": STEPS, "microBatch": 1, "processes": 1}
        with Child(spec if base is None else spec | {"base": base}, fresh=True) as child:
            child.event()
            command = {"round": 0, "start": 0, "shard": shard.path, "out": str(folder / "update")}
            answer = child.ask("round.run", theta={"path": theta.path, "sha256": theta.sha256}, **command)
            assert answer["type"] == "round.done", answer
            return most_bytes(child.process.pid)


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    nothing: dict[tuple[str, str], int] = {}
    for case in CASES:
        if only not in (case.tune, case.family, case.optimiser, ""):
            continue
        kind = (case.tune, case.family)
        if kind not in nothing:
            nothing[kind] = peak_bytes(Case(case.tune, case.family, **NOTHING))
        measured = peak_bytes(case) - nothing[kind]
        print(json.dumps({**case.__dict__, "measured": measured}), flush=True)


if __name__ == "__main__":
    main()
