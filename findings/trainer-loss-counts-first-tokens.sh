#!/bin/sh
# transformers 5.18.0 (Trainer, with accelerate 1.15.0 and torch 2.13.0)
#
# Trainer divides a batch's loss by the number of labels that are not -100, but a causal model shifts the labels
# by one: the first label of each row is no target. The sum over batch × (length - 1) targets is divided by batch
# × length. Loss, gradient norm and also eval_loss are (length - 1) / length of what the same model answers when
# it is called with the same rows: 12.5 % less at 8 tokens, 3 % at 32. A perplexity computed from eval_loss is too
# good, a clip of gradients is reached later, and losses of data sets with rows of other lengths, or of other
# tools, do not compare. Labels whose first is -100 (chat data where only answers count) are not affected, so two
# runs on the same texts with and without a prompt mask do not compare either.
#
# Seen for GPT-2 on 8 rows of 8 tokens at learning rate 0, dropout 0:
#   model(input_ids, labels).loss 4.160   Trainer's loss 3.640 = 7/8 of it   Trainer's eval_loss 3.640
#   the same rows with -100 as first label: all three equal
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.18.0 accelerate==1.15.0 numpy==2.4.6
cat > look.py <<'PY'
import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

transformers.logging.set_verbosity_error()
torch.manual_seed(0)
off = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0, "bos_token_id": 0, "eos_token_id": 0}
model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=32, **off))
ids = torch.randint(0, 64, (8, 8))
masked = ids.clone()
masked[:, 0] = -100


def losses(labels):
    rows = [{"input_ids": row, "labels": label} for row, label in zip(ids, labels)]
    options = {"max_steps": 1, "learning_rate": 0.0, "logging_steps": 1, "per_device_train_batch_size": 8}
    quiet = {"report_to": [], "use_cpu": True, "save_strategy": "no", "disable_tqdm": True}
    trainer = Trainer(model=model, args=TrainingArguments("out", **options, **quiet), train_dataset=rows, eval_dataset=rows)
    trainer.train()
    direct = model.eval()(input_ids=ids, labels=labels).loss.item()
    found = direct, trainer.state.log_history[0]["loss"], trainer.evaluate()["eval_loss"]
    print("  direct {:.4f}, Trainer {:.4f}, its eval_loss {:.4f}".format(*found))
    return [round(loss / direct, 3) for loss in found]


seen = [losses(ids), losses(masked)]
raise SystemExit(0 if seen == [[1.0, 0.875, 0.875], [1.0, 1.0, 1.0]] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
