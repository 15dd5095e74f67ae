#!/bin/sh
# llama.cpp as node-llama-cpp 3.22.1 ships it, gguf 0.19.0, sentencepiece 0.2.2 (Linux x64)
#
# A sentencepiece unigram model trained with byte_fallback has a token for every byte and spells in them what it does
# not know. A GGUF file can say all of that (tokenizer.ggml.model "t5", byte tokens of type BYTE), and llama.cpp
# loads it, but its unigram tokenizer never gives a byte token: it gives the unknown token, so that names, digits
# and whole scripts arrive as one <unk>. Where the file does not name the unknown token, which sentencepiece's own
# files never need to, it is not the piece of type UNKNOWN that is taken but id 2, by sentencepiece's defaults </s>.
# BPE models (tokenizer.ggml.model "llama") do get their bytes.
#
# Seen for "the Z", whose Z the model has not learnt:
#   sentencepiece                         the, space, <0x5A>
#   llama.cpp, unknown_token_id written   the, space, <unk>
#   llama.cpp, without it                 the, space, </s>
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
PIP_RETRIES=0 venv/bin/pip install -q gguf==0.19.0 sentencepiece==0.2.2
npm init -y >/dev/null
# The binaries for GPUs, which come along as optional packages, are 700 MB.
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional node-llama-cpp@3.22.1 >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional --no-save node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1 >/dev/null
cat > make.py <<'PY'
import sys
from pathlib import Path

import gguf
import sentencepiece

Path("text.txt").write_text("the worker trains the model on the data and the master folds what it sent\n" * 50)
options = {"input": "text.txt", "model_prefix": "unigram", "model_type": "unigram", "vocab_size": 300}
sentencepiece.SentencePieceTrainer.train(**options, byte_fallback=True, hard_vocab_limit=False, minloglevel=2)
model = sentencepiece.SentencePieceProcessor(model_file="unigram.model")
ids = range(model.get_piece_size())
types = [2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1 for i in ids]
writer = gguf.GGUFWriter("unigram.gguf", "gpt2")
writer.add_tokenizer_model("t5")
writer.add_tokenizer_pre("default")
writer.add_token_list([model.id_to_piece(i) for i in ids])
writer.add_token_scores([model.get_score(i) for i in ids])
writer.add_token_types(types)
if sys.argv[1] == "named":
    writer.add_unk_token_id(model.unk_id())
writer.add_bos_token_id(model.bos_id())
writer.add_eos_token_id(model.eos_id())
writer.add_add_bos_token(False)
writer.add_add_eos_token(False)
writer.add_context_length(64)
writer.add_embedding_length(32)
writer.add_block_count(1)
writer.add_feed_forward_length(64)
writer.add_head_count(2)
writer.add_layer_norm_eps(1e-5)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_ti_data_to_file()
writer.close()
print(model.encode("the Z", out_type=str)[-1])
PY
cat > read.mjs <<'JS'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.disabled, progressLogs: false });
const model = await llama.loadModel({ modelPath: process.argv[2], vocabOnly: true });
const ids = model.tokenize('the Z', false, 'trimLeadingSpace');
console.log(model.detokenize([ids.at(-1)], true));
process.exit(0);
JS
seen=""
for how in named unnamed; do
  spelt=$(venv/bin/python make.py "$how")
  read=$(node read.mjs "$dir/unigram.gguf")
  echo "unknown token $how: sentencepiece $spelt, llama.cpp $read"
  seen="$seen $spelt $read"
done
[ "$seen" = " <0x5A> <unk> <0x5A> </s>" ] && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
