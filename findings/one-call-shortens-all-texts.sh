#!/bin/sh
# transformers 5.18.0, tokenizers 0.23.2
#
# A call with truncation and padding sets both on the tokenizer inside, and save_pretrained writes what is set
# then into tokenizer.json. So a directory saved after training or after one batch at max_length=4 makes
# tokenizers (and what is built on it: servers, data pipelines) cut every text at 4 tokens and fill up every
# shorter one, while AutoTokenizer, which sets both anew in each call, shows nothing. Of a base saved so, a data
# pipeline on tokenizers trains the first tokens of each document and drops the rest.
# Remedy: no_truncation() and no_padding() after Tokenizer.from_file.
#
# Seen, tokens of a text of nine words from the same directory:
#   saved before the call   tokenizers 9, AutoTokenizer 9
#   saved after the call    tokenizers 4, AutoTokenizer 9
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check transformers==5.18.0 tokenizers==0.23.2
cat > look.py <<'PY'
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

transformers.logging.set_verbosity_error()
text = "the cat sat on the mat and the cat"
tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(sorted(set(text.split())))}, unk_token="the"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="the")


def saved(folder):
    wrapped.save_pretrained(folder)
    found = len(Tokenizer.from_file(f"{folder}/tokenizer.json").encode(text)), len(AutoTokenizer.from_pretrained(folder)(text)["input_ids"])
    print(f"  {folder}: tokenizers {found[0]}, AutoTokenizer {found[1]}")
    return found


seen = [saved("before")]
wrapped(["the cat", text], truncation=True, max_length=4, padding="max_length")
seen.append(saved("after"))
raise SystemExit(0 if seen == [(9, 9), (4, 9)] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
