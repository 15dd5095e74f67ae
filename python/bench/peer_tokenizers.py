"""The `tokenizers` library alone, on texts that lie rendered in memory: the least that tokenising a chat can take."""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.sides import serve

_TEXTS = 500


def main() -> None:
    """Encode all conversations, some at a time, whenever told."""
    tokenizer = Tokenizer.from_file(sys.argv[1])
    with Path(sys.argv[2]).open(encoding="utf-8") as file:
        texts = [render(json.loads(line)["messages"]) for line in file]

    def encode(_: str) -> None:
        for at in range(0, len(texts), _TEXTS):
            tokenizer.encode_batch_fast(texts[at : at + _TEXTS], add_special_tokens=False)

    serve(encode)


def render(messages: list[dict[str, str]]) -> str:
    """As chatml has it."""
    return "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)


if __name__ == "__main__":
    main()
