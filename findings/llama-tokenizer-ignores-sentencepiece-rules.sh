#!/bin/sh
# transformers 5.18.0, tokenizers 0.23.2, sentencepiece 0.2.2, protobuf 7.36.2
#
# A sentencepiece model holds its rules for text beside its pieces: a space put before the text or not, case,
# width and ligatures, runs of spaces. LlamaTokenizer takes the pieces from tokenizer.model and none of these
# rules: it always puts a space before and never normalises. A base whose model was made with sentencepiece's
# defaults, or with add_dummy_prefix=False, gets other ids than it was trained with, and line ends, which
# sentencepiece made spaces of, arrive as byte tokens that the base has hardly seen. T5Tokenizer does read the
# rules. (Without the package protobuf both fail with the message that tiktoken is required.)
#
# Seen for BPE models with byte fallback, pieces of sentencepiece and of LlamaTokenizer:
#   defaults, 'the  worker'                 [▁the ▁worker]      [▁the ▁ ▁worker]
#   defaults, line end between              [▁the ▁worker]      [▁the <0x0A> w or ker]
#   add_dummy_prefix=False, 'the worker'    [the ▁worker]       [▁the ▁worker]
#   nmt_nfkc_cf, 'THE worker'               [▁the ▁worker]      [▁ <0x54> <0x48> <0x45> ▁worker]
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check transformers==5.18.0 tokenizers==0.23.2 sentencepiece==0.2.2 protobuf==7.36.2
cat > look.py <<'PY'
import io
import json
import os
import random
import tempfile

import transformers
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
words = "the a of train weights worker master round loss is are was lease by to fold hashes chain".split()
draw = random.Random(0)
TEXTS = [" ".join(draw.choices(words, k=12)) for _ in range(400)]


def look(text, **rules):
    made = io.BytesIO()
    size = {"model_type": "bpe", "vocab_size": 350, "byte_fallback": True, "hard_vocab_limit": False}
    SentencePieceTrainer.train(sentence_iterator=iter(TEXTS), model_writer=made, minloglevel=2, **size, **rules)
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
        file.write(made.getvalue())
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "LlamaTokenizer"}, file)
    own = SentencePieceProcessor(model_proto=made.getvalue()).encode(text, out_type=str)
    loaded = AutoTokenizer.from_pretrained(folder).tokenize(text)
    print(f"  {rules} {text!r}: {own} {loaded}")
    return [own, loaded]


look("the worker")
seen = [
    look("the  worker"),
    look("the\nworker"),
    look("the worker", add_dummy_prefix=False),
    look("THE worker", normalization_rule_name="nmt_nfkc_cf"),
]
both = ["▁the", "▁worker"]
expected = [
    [both, ["▁the", "▁", "▁worker"]],
    [both, ["▁the", "<0x0A>", "w", "or", "ker"]],
    [["the", "▁worker"], both],
    [both, ["▁", "<0x54>", "<0x48>", "<0x45>", "▁worker"]],
]
raise SystemExit(0 if seen == expected else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
