#!/bin/sh
# transformers 5.18.0, tokenizers 0.23.2
#
# A directory's tokenizer.json holds the whole pipeline, and tokenizers itself follows it. AutoTokenizer does so
# only for PreTrainedTokenizerFast (TokenizersBackend). For GPT2Tokenizer, LlamaTokenizer, Qwen2Tokenizer and
# others it takes vocabulary, merges and post-processor out of the file and builds normaliser, pre-tokeniser and
# decoder anew from the class's own code, without a word. No class need be named for that: where
# tokenizer_config.json has none, config.json's model_type chooses it, and gpt2 chooses GPT2Tokenizer (llama does
# not choose LlamaTokenizer). A GPT-2 with a tokenizer of its own is then trained with one tokenisation
# (tokenizers, many trainers) and used with another (transformers, many servers), or the reverse.
#
# Seen for a byte-level BPE whose file says lower case, and digits one by one:
#   no class, no model_type        as the file says
#   no class, model_type llama     as the file says
#   no class, model_type gpt2      capitals stay, so other ids
#   class Qwen2Tokenizer           capitals stay, so other ids
#   class LlamaTokenizer           other ids, and decodes to 'trainĠ12Ġmodels': the byte-level decoder is gone
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check transformers==5.18.0 tokenizers==0.23.2
cat > look.py <<'PY'
import json
import os
import tempfile

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
tokenizer = Tokenizer(models.BPE())
tokenizer.normalizer = normalizers.Lowercase()
byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
tokenizer.decoder = decoders.ByteLevel()
alphabet = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet(), "show_progress": False}
trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"], **alphabet)
tokenizer.train_from_iterator(["Train 1234 Models and TRAIN 12 more\n"] * 20, trainer)
text = "Train 12 models"
told = tokenizer.encode(text).ids


def load(class_name, model_type):
    folder = tempfile.mkdtemp()
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"eos_token": "<|endoftext|>"} | ({"tokenizer_class": class_name} if class_name else {}), file)
    if model_type:
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump({"model_type": model_type}, file)
    loaded = AutoTokenizer.from_pretrained(folder)
    ids = loaded(text)["input_ids"]
    read = loaded.decode(told, skip_special_tokens=True)
    print(f"  {class_name} {model_type}: {type(loaded).__name__}, ids {'as told' if ids == told else 'others'}, reads {read!r}")
    return [ids == told, read == "train 12 models"]


seen = [load(None, None), load(None, "llama"), load(None, "gpt2"), load("LlamaTokenizer", None), load("Qwen2Tokenizer", None)]
expected = [[True, True], [True, True], [False, True], [False, False], [False, True]]
raise SystemExit(0 if seen == expected else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
