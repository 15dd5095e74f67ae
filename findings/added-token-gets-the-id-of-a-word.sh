#!/bin/sh
# tokenizers 0.23.2
#
# The id of an added token in tokenizer.json is not what counts. When the file is read, each added token that the
# model's vocabulary lacks gets the *number of entries* of the vocabulary plus its place among the added ones as
# id. Where the vocabulary's ids have a hole (some ids were cut out, the embedding's rows were kept), that number
# is the id of a word that exists: the file says 11, tokenizers says 10, and 10 is already 'abc'. Text with that
# word and text with the token give the same ids, 'abc' decodes to the token, and with skip_special_tokens it
# vanishes. A file written by hand with ids beyond the vocabulary (a padded embedding) moves likewise. Nothing is
# said, and saving writes the wrong id into the file.
#
# Seen for a BPE with ids 0 to 7, 9 and 10, and an added token that the file gives the id 11:
#   id of <end> 10   'abcab<end>' is [10, 9, 10]   [10] decodes to '' with skip_special_tokens
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tokenizers==0.23.2
cat > look.py <<'PY'
import json

from tokenizers import Tokenizer, models

vocabulary = {letter: place for place, letter in enumerate("abcdefgh")} | {"ab": 9, "abc": 10}
plain = json.loads(Tokenizer(models.BPE(vocabulary, [("a", "b"), ("ab", "c")])).to_str())
flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
tokenizer = Tokenizer.from_str(json.dumps(plain | {"added_tokens": [{"id": 11, "content": "<end>", **flags}]}))
seen = [
    tokenizer.token_to_id("<end>"),
    tokenizer.encode("abcab<end>").ids,
    tokenizer.decode(tokenizer.encode("abc").ids),
    json.loads(tokenizer.to_str())["added_tokens"][0]["id"],
]
print("  id {}, 'abcab<end>' is {}, 'abc' reads back as {!r}, saved as {}".format(*seen))
raise SystemExit(0 if seen == [10, [10, 9, 10], "", 10] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
