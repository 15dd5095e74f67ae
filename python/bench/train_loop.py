"""What training costs beside a loop written by hand, beside Hugging Face's Trainer, and beside tokenizing alone.

    npm run bench:train -- [--only child lora muon trainer data] [--pairs 3] [--steps 50] [--short]

Both sides of each comparison do the same work in turn, in processes that are kept: the same base with random weights
and real shapes (GPT-2 of 124M, a Llama of 134M), the same tokens, batch, precision and threads. Loading and a first
run are left out of both. Times are those of the clock; beside them stands the ratio of processor seconds, which other
work on the machine disturbs less. `--short` takes small shapes and little data, to see that everything runs.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.bases import GPT2_VOCABULARY, LLAMA_VOCABULARY, open_base
from bench.measures import Measure, report, show
from bench.muon import measure_muon
from bench.sides import OurChild, Run, Work, adapted_layers, in_turn, peer_of, write_blocks
from bench.tokenising import measure_tokenising
from emeth.rounds.fold import fold
from emeth.wire.commands import Fold, WeightedUpdate
from emeth.wire.params import OuterParams

_MIB = 1 << 20
_VOCABULARIES = {"gpt2": GPT2_VOCABULARY, "llama": LLAMA_VOCABULARY}


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    folder: Path
    pairs: int
    steps: int
    short: bool

    def work(self, kind: str, tune: str, context: int, batch: int = 1, precision: str = "fp32") -> Work:
        """A job on one of the bases."""
        base = open_base(kind, self.short)
        return Work(tune, base, _VOCABULARIES[kind], context=context, batch=batch, precision=precision)

    def compare(self, work: Work, script: str, steps: int) -> list[tuple[Run, Run]]:
        """Our child and a peer on the same blocks."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        path = write_blocks(self.folder / "shard", work, steps)
        warm_up = write_blocks(self.folder / "warm-up", work, 2)
        with OurChild(self.folder / "ours", work) as ours, peer_of(script, work) as theirs:
            return in_turn(ours, theirs, path, warm_up, self.pairs)


def measure_child(plan: Plan) -> Iterator[Measure]:
    """Our child ÷ a bare loop, with all weights trained."""
    for kind in ("gpt2", "llama"):
        for precision in ("fp32", "bf16"):
            work = plan.work(kind, "full", 256, precision=precision)
            runs = plan.compare(work, "peer_bare.py", plan.steps)
            name = f"child ÷ bare loop, {kind}, full, {precision}"
            yield speed(name, runs, 0.97, work.tokens(plan.steps))


def measure_trainer(plan: Plan) -> Iterator[Measure]:
    """Our child ÷ Hugging Face's Trainer: speed and memory."""
    for tune in ("lora", "full"):
        for precision in ("fp32", "bf16"):
            work = plan.work("gpt2", tune, 256, batch=4, precision=precision)
            if tune == "lora":
                work = replace(work, adapted=adapted_layers(work))
            steps = max(2, plan.steps // 6)
            runs = plan.compare(work, "peer_trainer.py", steps)
            name = f"child ÷ Trainer, gpt2, {tune}, {precision}"
            yield speed(name, runs, 1.0, work.tokens(steps))
            yield memory(f"{name}, memory", runs, 0.8)


def measure_lora(plan: Plan) -> Iterator[Measure]:
    """What a LoRA round sends beside a full one, and what a LoRA worker holds beside its base."""
    sent = [_round_bytes(plan, plan.work("gpt2", tune, 64)) for tune in ("lora", "full")]
    yield Measure("LoRA round ÷ full int8 round", *sent, "bytes up and down", 0.01, at_most=True)
    work = replace(plan.work("gpt2", "lora", 512), checkpointing=True)
    least = (work.base / "model.safetensors").stat().st_size * 1.25
    peaks = []
    for i in range(plan.pairs):
        path = write_blocks(plan.folder / "shard", work, 3)
        with OurChild(plan.folder / f"lora-{i}", work) as ours:
            peaks.append(ours.run(path).peak_bytes)
    held, ratios = statistics.median(peaks) / _MIB, [peak / least for peak in peaks]
    yield Measure("LoRA worker ÷ (base + 25 %)", held, least / _MIB, "MiB at most", 1.6, at_most=True, ratios=ratios)


def _round_bytes(plan: Plan, work: Work) -> int:
    """Bytes of a worker's update and of the outer step that it gets back."""
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.mkdir()
    with OurChild(plan.folder / "child", work) as ours:
        ours.run(write_blocks(plan.folder / "shard", work, 1))
        out = {name: str(plan.folder / name) for name in ("theta_out", "outer_out", "delta_out")}
        updates = (WeightedUpdate(path=str(ours.update), weight=1.0),)
        command = Fold(type="fold", id=1, theta=ours.theta.path, updates=updates, scale=1.0, **out)
        folded = fold(command, "int8", work.program().layout, OuterParams(lr=1.0, momentum=0.5))
        return ours.update.stat().st_size + folded.delta.bytes


def measure_data(plan: Plan) -> Iterator[Measure]:
    """Preparing conversations ÷ tokenizing alone."""
    num_bytes = 2_000_000 if plan.short else 100_000_000
    yield from measure_tokenising(plan.folder / "data", num_bytes, plan.pairs, plan.short)


def measure_optimiser(plan: Plan) -> Iterator[Measure]:
    """Muon ÷ AdamW."""
    yield from measure_muon(plan.steps, plan.short)


def speed(name: str, runs: list[tuple[Run, Run]], bar: float, tokens: int) -> Measure:
    """Tokens per second of ours ÷ theirs."""
    processor = statistics.median(theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in runs)
    mine, other = (tokens / statistics.median(run[i].seconds for run in runs) for i in (0, 1))
    ratios = [theirs.seconds / ours.seconds for ours, theirs in runs]
    note = f"by processor seconds {processor:.3f}"
    return Measure(name, mine, other, "tokens/s", bar, ratios=ratios, note=note)


def memory(name: str, runs: list[tuple[Run, Run]], bar: float) -> Measure:
    """Most memory of ours ÷ theirs."""
    mine, other = (max(run[i].peak_bytes for run in runs) / _MIB for i in (0, 1))
    return Measure(name, mine, other, "MiB at most", bar, at_most=True)


MEASURES: dict[str, Callable[[Plan], Iterator[Measure]]] = {
    "child": measure_child,
    "lora": measure_lora,
    "muon": measure_optimiser,
    "trainer": measure_trainer,
    "data": measure_data,
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--pairs", type=int, default=3, help="rounds of each comparison")
    parser.add_argument("--steps", type=int, default=50, help="steps of a round; a job's default")
    parser.add_argument("--short", action="store_true", help="small shapes and little data")
    options = parser.parse_args()
    found: list[Measure] = []
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(Path(folder) / "run", options.pairs, options.steps, options.short)
        for name in options.only:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            found += map(show, MEASURES[name](plan))
    report(found, {"pairs": options.pairs, "steps": options.steps, "short": options.short})


if __name__ == "__main__":
    main()
