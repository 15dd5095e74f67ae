"""Preparing chats in JSONL ÷ `tokenizers` alone on the same texts and threads; prints one line of JSON.

tokenise.py [--megabytes 100] [--threads 1] [--runs 3] [--vocabulary 16000]

Ours reads, checks, renders, marks, tokenises, packs and hashes the file, as a master does before it takes a job; theirs
is given the rendered texts in memory and encodes them: `encode_batch_fast`, the faster of its two ways, which tells no
offsets (so that nobody could tell answers by it), and `encode_batch`, which does. Each run is a process of its own.
Memory is the peak of all processes of a run together, as /proc has it.
"""

import argparse
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

SYLLABLES = (
    "ba",
    "ter",
    "lin",
    "mo",
    "ra",
    "shi",
    "con",
    "der",
    "ly",
    "ing",
    "es",
    "tu",
    "van",
    "gor",
    "pel",
    "nit",
    "the",
)


def main() -> int:
    """Measure and print, or do one run of either side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=16_000)
    parser.add_argument("--side", choices=["ours", "fast", "offsets"])
    parser.add_argument("--folder")
    asked = parser.parse_args()
    if asked.side is not None:
        run_side(asked.side, Path(asked.folder), asked.threads)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), asked)))
    return 0


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """All runs of all sides, in turns, so that what else the machine does meets all of them."""
    make_data(folder, asked.megabytes * 10**6, asked.vocabulary)
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "fast": [], "offsets": []}
    for _ in range(asked.runs):
        for side, found in runs.items():
            found.append(one_run(folder, side, asked.threads))
    seconds, cpu = (
        {side: statistics.median(run[clock] for run in found) for side, found in runs.items()}
        for clock in ("seconds", "cpu")
    )
    text_bytes = runs["fast"][0]["bytes"]
    return {
        "megabytes": asked.megabytes,
        "threads": asked.threads,
        "seconds": {side: [round(run["seconds"], 2) for run in found] for side, found in runs.items()},
        "megabytesPerSecondAndThread": round(text_bytes / 1e6 / seconds["ours"] / asked.threads, 2),
        "ratioToFast": round(seconds["fast"] / seconds["ours"], 3),
        "ratioToOffsets": round(seconds["offsets"] / seconds["ours"], 3),
        # Where other programs run, the time on a processor says more.
        "cpuSeconds": {side: round(found, 2) for side, found in cpu.items()},
        "cpuRatioToFast": round(cpu["fast"] / cpu["ours"], 3),
        "cpuRatioToOffsets": round(cpu["offsets"] / cpu["ours"], 3),
        "peakMebibytes": round(max(run["peak"] for run in runs["ours"])),
    }


def make_data(folder: Path, size: int, vocabulary: int) -> None:
    """A JSONL of chats, their texts, and a base with a tokenizer that was trained on some of them."""
    from emeth.data.template import CHATML, ChatTemplate
    from tests.data.bases import write_base

    dice = random.Random(7)  # noqa: S311 - no secret
    words = ["".join(dice.choices(SYLLABLES, k=dice.choice([1, 1, 2, 2, 3]))) for _ in range(60_000)]
    weights = [1 / (i + 5) for i in range(len(words))]
    template = ChatTemplate(CHATML)
    written, sample = 0, []
    with (
        (folder / "chats.jsonl").open("w", encoding="utf-8") as data,
        (folder / "texts.json").open("w", encoding="utf-8") as texts,
    ):
        while written < size:
            messages = [
                {"role": role, "content": sentences(dice, words, weights, length)}
                for role, length in (("user", 40), ("assistant", 120)) * dice.choice([1, 1, 2, 3])
            ]
            line = json.dumps({"messages": messages}, ensure_ascii=False)
            text = template.document(messages)[0].decode()
            data.write(line + "\n")
            texts.write(json.dumps(text) + "\n")
            written += len(line.encode()) + 1
            if len(sample) < 3000:
                sample.append(text)
    write_base(folder / "base", vocabulary, {"tokenizer.json": trained(sample, vocabulary).to_str(), **END})


END = {"tokenizer_config.json": {"eos_token": "<|im_end|>"}}


def trained(sample: list[str], vocabulary: int) -> Any:  # noqa: ANN401 - the library has no types
    """A byte-level BPE with ChatML's words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(sample, trainer)
    return inner


def sentences(dice: random.Random, words: list[str], weights: list[float], length: int) -> str:
    """Text of words that are as frequent as in languages, with the marks that tokenizers part at."""
    drawn = dice.choices(words, weights, k=dice.randint(length // 2, 2 * length))
    marks = dice.choices([" ", " ", " ", " ", " ", " ", ", ", ". ", "\n", "'s ", " 42 "], k=len(drawn))
    return "".join(word + mark for word, mark in zip(drawn, marks, strict=True)).strip()


def one_run(folder: Path, side: str, threads: int) -> dict[str, float]:
    """One side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--threads", str(threads)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peaks: list[float] = []
    watcher = threading.Thread(target=watch, args=(process, peaks))
    watcher.start()
    output = process.communicate()[0]
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{side} failed")
    found: dict[str, float] = json.loads(output)
    return {**found, "peak": max(peaks, default=0)}


def watch(process: subprocess.Popen[str], peaks: list[float]) -> None:
    """Note the memory of a process and its children until it ends: their own, and their part of what they share."""
    while process.poll() is None:
        peaks.append(sum(memory(pid) for pid in family(process.pid)) / 1024)
        time.sleep(0.1)


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in task.read_text(encoding="ascii").split()]
        except OSError:
            continue
    return [pid, *(each for child in children for each in family(child))]


def memory(pid: int) -> int:
    """Proportional set size in KiB."""
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def run_side(side: str, folder: Path, threads: int) -> None:
    """Do the work of one side and print its seconds."""
    seconds, size = ours(folder, threads) if side == "ours" else theirs(folder, threads, side)
    print(json.dumps({"seconds": seconds[0], "cpu": seconds[1], "bytes": size}))


def clocks() -> tuple[float, float]:
    """Wall time, and time on a processor of this process and those it has started and ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def since(began: tuple[float, float]) -> tuple[float, float]:
    """Both times since then."""
    now = clocks()
    return now[0] - began[0], now[1] - began[1]


def ours(folder: Path, threads: int) -> tuple[tuple[float, float], int]:
    """Prepare the file as a master does: processes beside each other, each with one thread."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from emeth.data.data import Source, prepare
    from emeth.wire.parse import parse
    from emeth.wire.spec import Params
    from tests.child import make_params

    model = {"context": 512, "dropout": 0}
    changes = {"tune": "full", "base": "hf:a/b", "tokenizer": {"type": "base"}, "model": model, "batch": 8}
    with tempfile.TemporaryDirectory(dir=folder) as work:
        source = Source(
            dataset=str(folder / "chats.jsonl"),
            max_bytes=10**12,
            work_dir=work,
            base=str(folder / "base"),
            processes=threads,
        )
        began = clocks()
        prepare(parse(Params, make_params(**changes)), source)
        return since(began), 0


def theirs(folder: Path, threads: int, side: str) -> tuple[tuple[float, float], int]:
    """Encode the texts, a thousand at a time, and put the ids into arrays."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    import numpy as np
    from tokenizers import Tokenizer

    inner = Tokenizer.from_file(str(folder / "base" / "tokenizer.json"))
    texts = [json.loads(line) for line in (folder / "texts.json").open(encoding="utf-8")]
    encode = inner.encode_batch_fast if side == "fast" else inner.encode_batch
    began = clocks()
    for at in range(0, len(texts), 1000):
        for one in encode(texts[at : at + 1000], add_special_tokens=False):
            np.array(one.ids, np.uint16)
    return since(began), sum(len(text.encode()) for text in texts)


if __name__ == "__main__":
    raise SystemExit(main())
