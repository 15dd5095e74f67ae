#!/bin/sh
# transformers 5.18.0, tokenizers 0.23.2
#
# return_assistant_tokens_mask finds the tokens of an answer by the offset of its first character. With the
# post-processor ByteLevel(trim_offsets=True), which is what processors.ByteLevel() gives, a token's offsets leave
# its leading space out, so that this space belongs to no token. Where a template's {% generation %} block begins
# with the space ("assistant:" is outside, " fine" inside, as byte-level vocabularies want it) nothing is found,
# the mask of that answer *and of all that follow* is 0, and no word is said: the conversation trains nothing. The
# ids are equal in both cases.
#
# Seen for two turns, the tokens whose mask is 1:
#   trim_offsets=False, space inside the block   all of both answers
#   trim_offsets=True,  space inside the block   none
#   trim_offsets=True,  space before the block   all of both answers
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check transformers==5.18.0 tokenizers==0.23.2 jinja2==3.1.6
cat > look.py <<'PY'
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

transformers.logging.set_verbosity_error()
USER = "{% for m in messages %}{% if m.role == 'user' %}user: {{ m.content }}\n{% else %}assistant:"
INSIDE = USER + "{% generation %} {{ m.content }}<eos>{% endgeneration %}{% endif %}{% endfor %}"
BEFORE = USER + " {% generation %}{{ m.content }}<eos>{% endgeneration %}{% endif %}{% endfor %}"
TURNS = [("user", "how are you"), ("assistant", "fine thanks"), ("user", "how are you"), ("assistant", "I am well")]


def answers(trim, template):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet(), "show_progress": False}
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=["<eos>"], **alphabet)
    tokenizer.train_from_iterator([" ".join(f"{role}: {text}" for role, text in TURNS)] * 50, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")
    messages = [{"role": role, "content": text} for role, text in TURNS]
    options = {"tokenize": True, "return_dict": True, "return_assistant_tokens_mask": True}
    found = wrapped.apply_chat_template(messages, chat_template=template, **options)
    kept = [i for i, mask in zip(found["input_ids"], found["assistant_masks"]) if mask]
    print(f"  trim_offsets={trim}, space {'inside' if template == INSIDE else 'before'}: {wrapped.decode(kept)!r}")
    return wrapped.decode(kept)


seen = [answers(False, INSIDE), answers(True, INSIDE), answers(True, BEFORE)]
both = " fine thanks<eos> I am well<eos>"
raise SystemExit(0 if seen == [both, "", both] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
