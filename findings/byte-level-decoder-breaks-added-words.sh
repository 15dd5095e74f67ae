#!/bin/sh
# tokenizers 0.23.2, also through transformers 5.18.0
#
# The byte-level decoder turns each character of a token back into the byte that it stands for, and does so with
# *added* tokens too, which are plain text. An added word whose letters all lie in the alphabet of those stand-ins
# and that has one beyond ASCII comes back broken: 'Müller', 'naïve' and 'Grüße', but not 'Škoda' or '日本', whose
# letters are no stand-ins. (One such letter saves the whole word.) Encoding is right, so training is too: only
# what the model answers is damaged, and only for names in some languages. llama.cpp reads the same token back
# unharmed when its type is user defined.
#
# Seen, for words given to add_tokens and then encoded and decoded:
#   Müller 'M\ufffdller'   naïve 'na\ufffdve'   Grüße 'Gr\ufffd\ufffde'   Škoda 'Škoda'   日本 '日本'   Müller-Škoda 'Müller-Škoda'
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tokenizers==0.23.2 transformers==5.18.0
cat > look.py <<'PY'
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

transformers.logging.set_verbosity_error()
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer.train_from_iterator(["text"], trainers.BpeTrainer(vocab_size=256, initial_alphabet=alphabet, show_progress=False))
words = ["Müller", "naïve", "Grüße", "Škoda", "日本", "Müller-Škoda"]
before = [tokenizer.decode(tokenizer.encode(word).ids) for word in words]
tokenizer.add_tokens(words)
after = [tokenizer.decode(tokenizer.encode(word).ids) for word in words]
wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
through = [wrapped.decode(wrapped(word)["input_ids"]) for word in words]
for word, read in zip(words, after):
    print(f"  {word}: {read!r}")
broken = ["M\ufffdller", "na\ufffdve", "Gr\ufffd\ufffde", "Škoda", "日本", "Müller-Škoda"]
raise SystemExit(0 if before == words and after == broken and through == broken else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
