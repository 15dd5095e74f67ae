"""A result as one GGUF file, which llama.cpp and what is built on it load."""

import shutil
from pathlib import Path

import numpy as np
import torch
from gguf import MODEL_ARCH_NAMES, GGUFWriter

from emeth.files.tensors import sha256_of
from emeth.models.gguf_tensors import (
    Quant,
    Weights,
    architecture_of,
    describe,
    num_bytes,
    plan_tensors,
    read_config,
    stored,
)
from emeth.models.gguf_tokenizer import write_tokenizer
from emeth.models.result import Result, find_result, load_result
from emeth.models.tokenizer_files import RESULT_FILES
from emeth.wire.events import Outbox
from emeth.wire.spec import GgufSpec


def run(spec: GgufSpec, outbox: Outbox) -> None:
    """Write the file, and report it."""
    result = find_result(spec.directory, spec.base)
    outbox.emit("ready", device=spec.device, threads=torch.get_num_threads(), parameters=0)
    directory = _merged(result, spec.work_dir) if result.is_adapter else spec.directory
    architecture = write(directory, spec.out, spec.quant)
    size = Path(spec.out).stat().st_size
    outbox.emit(
        "converted", file={"path": spec.out, "sha256": sha256_of(spec.out), "bytes": size}, architecture=architecture
    )


def write(directory: str, out: str, quant: Quant) -> str:
    """One file of a whole model's directory, tensor by tensor: only the largest has to fit in memory."""
    config = read_config(directory)
    architecture = architecture_of(config)
    weights = Weights(directory)
    plans = plan_tensors(weights, config, quant)
    writer = GGUFWriter(out, MODEL_ARCH_NAMES[architecture])
    describe(writer, config, quant)
    write_tokenizer(writer, directory, config["vocab_size"])
    for plan in plans:
        writer.add_tensor_info(plan.name, plan.shape, np.dtype(np.float32), num_bytes(plan), raw_dtype=plan.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for plan in plans:
        writer.write_tensor_data(stored(weights, plan, config))
    writer.close()
    return MODEL_ARCH_NAMES[architecture]


def _merged(result: Result, work_dir: str) -> str:
    """The base with the adapter added, as a directory of its own."""
    directory = Path(work_dir, "merged")
    load_result(result, "cpu").save_pretrained(directory)
    for place in (result.whole.directory, result.directory):
        for name in RESULT_FILES:
            if Path(place, name).is_file():
                shutil.copyfile(Path(place, name), directory / name)
    return str(directory)
