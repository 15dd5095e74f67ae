"""Hugging Face's Trainer on the same base and tokens: what most people fine-tune with.

Rows hold `context` tokens, so that a step computes as many places as ours; nothing is logged, saved or evaluated.
"""

import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.sides import Work, serve, work_of


def main() -> None:
    """Train each shard with a fresh optimiser."""
    work = work_of(sys.argv[1])
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(work.threads)
    model = open_model(work)

    def train(shard: str) -> None:
        blocks = torch.from_numpy(load_file(shard)["tokens"].astype("int64"))
        rows = [{"input_ids": row[:-1], "labels": row[:-1]} for row in blocks.flatten(0, 1)]
        trainer = Trainer(model=model, args=arguments(work), train_dataset=rows)
        trainer.train()

    serve(train)


def open_model(work: Work) -> Any:  # noqa: ANN401 - the library has no types
    """The base, with an adapter on the same layers as ours where there is one."""
    model = AutoModelForCausalLM.from_pretrained(work.base, dtype=torch.float32)
    model.config.use_cache = False
    if work.tune != "lora":
        return model
    from peft import LoraConfig, get_peft_model

    lora = work.params()["lora"]
    config = LoraConfig(r=lora["r"], lora_alpha=lora["alpha"], target_modules=list(work.adapted))
    return get_peft_model(model, config)


def arguments(work: Work) -> TrainingArguments:
    """The same batch, precision, optimiser and clipping as ours."""
    silent = {"report_to": [], "logging_strategy": "no", "save_strategy": "no", "disable_tqdm": True}
    device = {"use_cpu": True, "dataloader_pin_memory": False, "bf16": work.precision == "bf16"}
    optimiser = {"optim": "adamw_torch_fused", "learning_rate": 1e-3, "adam_beta2": 0.95, "weight_decay": 0.1}
    return TrainingArguments(
        "unused",
        num_train_epochs=1,
        per_device_train_batch_size=work.batch,
        gradient_checkpointing=work.checkpointing,
        max_grad_norm=1.0,
        **silent,
        **device,
        **optimiser,
    )


if __name__ == "__main__":
    main()
