#!/bin/sh
# datasets 5.0.1 with pyarrow 25.0.1, chat templates of transformers 5.18.0
#
# pyarrow's JSON reader, which load_dataset('json') uses, makes a column of strings a column of times when all
# strings of its first block look like dates. So a JSONL of questions whose answers are dates (the task of
# extracting one, for instance) does not come back as it is in the file: '2021-03-04' is a datetime, also inside
# messages, and a chat template writes it as '2021-03-04 00:00:00'. That is what the model learns to answer. One
# answer 'unknown' among the first megabytes, and all stay strings. Python's json keeps strings.
#
# Seen:
#   completion '2021-03-04', '2022-03-05'   timestamp[s]
#   completion '2021-03-04', 'unknown'      string
#   messages with content '2021-03-04'      rendered as 'assistant: 2021-03-04 00:00:00'
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check datasets==5.0.1 pyarrow==25.0.1 transformers==5.18.0 jinja2==3.1.6
cat > look.py <<'PY'
import json

import datasets
from transformers.utils.chat_template_utils import render_jinja_template

datasets.disable_progress_bars()


def load(name, rows):
    with open(f"{name}.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return datasets.load_dataset("json", data_files=f"{name}.jsonl", cache_dir="cache", split="train")


dates = load("dates", [{"prompt": "When?", "completion": day} for day in ("2021-03-04", "2022-03-05")])
mixed = load("mixed", [{"prompt": "When?", "completion": day} for day in ("2021-03-04", "unknown")])
turn = [{"role": "assistant", "content": "2021-03-04"}]
chat = load("chat", [{"messages": turn}])
template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
[text], _ = render_jinja_template([chat[0]["messages"]], chat_template=template)
seen = [dates.features["completion"].dtype, mixed.features["completion"].dtype, text]
print("  dates: {}, mixed: {}, rendered: {!r}".format(*seen))
raise SystemExit(0 if seen == ["timestamp[s]", "string", "assistant: 2021-03-04 00:00:00"] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
