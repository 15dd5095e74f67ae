#!/bin/sh
# transformers 5.18.0, tokenizers 0.23.2, sentencepiece 0.2.2, protobuf 7.36.2
#
# T5Tokenizer reads pieces and rules of a sentencepiece model, but not which piece is the unknown one: what the model does not know gets
# the id 2, as T5's own models have it, whatever unk_token_id says. Models made with sentencepiece's defaults have <unk> 0, <s> 1, </s> 2,
# so that each unknown word becomes the *end of the text*: in training the model learns to stop there, and decoding with
# skip_special_tokens drops the word. rinna's japanese-gpt2 family is such a model (sentencepiece alone, tokenizer_class T5Tokenizer). Its
# do_lower_case, in tokenizer_config.json, is not heeded either, so that capitals are unknown, too, and end texts as well.
#
# Seen for a model with </s> 2 and <unk> 0, made from lower-case English, ids of sentencepiece and of AutoTokenizer:
#   'the 東京 ship'                     [4, 16, 0, 13]   [4, 16, 2, 13], decoded 'the </s> ship', though unk_token_id is 0
#   'The ship', do_lower_case: true     [16, 0, 20, 13]  [16, 2, 20, 13], decoded '</s>he ship' ('the ship' is [4, 13])
# and for a model with </s> 1 and <unk> 2, as T5's, both give the same ids.
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

import transformers
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
TEXT = "the captain sailed the deep white sea and the whale sank the ship in the night " * 40


def make(folder, **ids):
    made = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT[i : i + 200] for i in range(0, len(TEXT), 200)]),
        model_writer=made,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **ids,
    )
    os.makedirs(folder)
    with open(os.path.join(folder, "spiece.model"), "wb") as file:
        file.write(made.getvalue())
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "additional_special_tokens": [], "do_lower_case": True}
    settings |= {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump(settings, file)
    return SentencePieceProcessor(model_proto=made.getvalue()), AutoTokenizer.from_pretrained(folder)


def look(name, text, own, loaded):
    ids = loaded(text, add_special_tokens=False)["input_ids"]
    print(f"  {name} {text!r}: sentencepiece {own.encode(text)}, AutoTokenizer {ids} {loaded.decode(ids)!r}")
    return own.encode(text), ids


own, loaded = make("defaults", unk_id=0, bos_id=1, eos_id=2, pad_id=3)
wanted, got = look("</s> 2, <unk> 0", "the 東京 ship", own, loaded)
_, capitals = look("</s> 2, <unk> 0", "The ship", own, loaded)
t5, loaded_t5 = make("t5", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
same = look("</s> 1, <unk> 2", "the 東京 ship", t5, loaded_t5)
ok = (loaded.unk_token_id, loaded.eos_token_id) == (0, 2) and 0 in wanted
ok = ok and got == [2 if i == 0 else i for i in wanted] and 2 in capitals and capitals != own.encode("the ship")
raise SystemExit(0 if ok and same[0] == same[1] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
