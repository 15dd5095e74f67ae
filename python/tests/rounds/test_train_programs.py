"""Rounds of every kind of program: repeatable to the bit, the same in parts, in processes and with checkpointing."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from emeth.files.codec import raw, read_theta
from emeth.files.tensors import FileRef, Layout, TensorSpec, sha256_of, write_tensors
from emeth.models.program import open_program
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.bases import make_base
from tests.child import Child, Json, train_spec
from tests.ranks import answers

BATCH, CONTEXT, BLOCKS, VOCABULARY = 4, 16, 6, 260
# Kind of base, if any, how it is stored, and what the job asks for.
PROGRAMS: dict[str, tuple[str | None, str, Json]] = {
    "gpt2 from scratch": (None, "", {}),
    "llama from scratch": (None, "", {"model": {"family": "llama"}}),
    "gpt2 in full": ("gpt2-old", "float16", {}),
    "gpt2 from scratch by muon": (None, "", {"inner": {"optimiser": "muon"}}),
    "llama in full": ("llama", "bfloat16", {}),
    "gpt2 by an adapter": ("gpt2", "float32", {"tune": "lora"}),
    "phi3 in full": ("phi3", "bfloat16", {}),
    "qwen2 by an adapter": ("qwen2", "bfloat16", {"tune": "lora"}),
}


@dataclass(frozen=True)
class Made:
    """A job's θ_0 and a lease of it whose targets count in part."""

    folder: Path
    base: Path | None
    changes: Json
    layout: Layout
    theta: FileRef
    losses: dict[str, float] = field(default_factory=dict)

    def train(self, name: str, micro_batch: int = BATCH, processes: int = 1, **more: object) -> Json:
        """One round in a child of its own; the update is in a file of that name."""
        changes = self.changes | {"codec": "fp32", "batch": BATCH} | more
        spec = train_spec(self.folder, micro_batch=micro_batch, processes=processes, base=self.base, **changes)
        theta = {"path": self.theta.path, "sha256": self.theta.sha256}
        command = {"round": 0, "start": 0, "shard": str(self.folder / "shard"), "theta": theta}
        with Child(spec | {"vocabSize": VOCABULARY}) as child:
            child.event()
            done = child.ask("round.run", **command, out=str(self.folder / name))
            assert done["type"] == "round.done", done
            assert child.close() == 0
        return done

    def train_as_team(self, name: str, sharded: bool, **more: object) -> Json:
        """The same round in two processes with a row at a time."""
        changes = self.changes | {"codec": "fp32", "batch": BATCH} | more
        spec = train_spec(self.folder, micro_batch=1, base=self.base, **changes)
        spec |= {"vocabSize": VOCABULARY, "sharded": sharded}
        theta = {"path": self.theta.path, "sha256": self.theta.sha256}
        command = {"type": "round.run", "round": 0, "start": 0, "shard": str(self.folder / "shard"), "theta": theta}
        (done,) = answers(spec, [command | {"out": str(self.folder / name)}])
        assert done["type"] == "round.done", done
        return done

    def distance(self, name: str, expected: str) -> float:
        found, wanted = (read_theta(str(self.folder / each), self.layout) for each in (name, expected))
        square = sum(float(((found[each] - wanted[each]) ** 2).sum()) for each in wanted)
        return (square / sum(float((wanted[each] ** 2).sum()) for each in wanted)) ** 0.5


def write_shard(path: Path) -> None:
    rng = np.random.default_rng(5)
    tokens = rng.integers(0, VOCABULARY, (BLOCKS, BATCH, CONTEXT + 1), np.uint16)
    mask = (rng.random((BLOCKS, BATCH, CONTEXT)) < 0.6).astype(np.uint8)
    # Whole rows may have nothing to learn from, and whole blocks.
    mask[1, 0] = mask[2] = 0
    specs = {"tokens": TensorSpec("U16", tokens.shape), "mask": TensorSpec("U8", mask.shape)}
    write_tensors(str(path), specs, [tokens, mask])


@pytest.fixture(scope="module", params=PROGRAMS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    kind, dtype, changes = PROGRAMS[request.param]
    folder = tmp_path_factory.mktemp("round")
    base = None if kind is None else make_base(kind, folder / "base", dtype)
    params = parse(Params, train_spec(folder, base=base, **changes)["params"])
    program = open_program(params, VOCABULARY, None if base is None else str(base))
    theta = write_tensors(str(folder / "theta"), program.layout, (raw(each) for _, each in program.initial(1)))
    write_shard(folder / "shard")
    made = Made(folder, base, changes, program.layout, theta)
    made.losses["first"] = made.train("first")["loss"]
    return made


def test_round_has_the_same_bytes_in_another_process(made: Made) -> None:
    done = made.train("again")
    assert done["tokens"] == BLOCKS * BATCH * CONTEXT
    assert done["lossCurve"][2] == 0, "nothing counts in this block"
    assert done["loss"] > np.mean(done["lossCurve"]) > 1, "and so it does not make the mean smaller"
    assert done["update"]["sha256"] == sha256_of(str(made.folder / "first"))
    assert made.distance("again", "first") == 0


def test_parts_of_a_batch_weigh_as_many_targets_as_they_have(made: Made) -> None:
    made.train("rows", micro_batch=1)
    assert made.distance("rows", "first") < 1e-3
    made.train("parts", accumulate=BATCH)
    assert made.distance("parts", "rows") == 0


def test_checkpointing_changes_no_bit(made: Made) -> None:
    made.train("light", gradientCheckpointing=True)
    assert made.distance("light", "first") == 0


@pytest.mark.parametrize("sharded", [False, True])
def test_processes_that_hold_different_numbers_of_targets_equal_one(made: Made, sharded: bool) -> None:
    done = made.train_as_team("team", sharded=sharded)
    assert done["loss"] == pytest.approx(made.losses["first"], rel=1e-4)
    assert made.distance("team", "first") < 1e-3


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("made", ["gpt2 from scratch", "phi3 in full"], indirect=True)
def test_muon_in_processes_equals_one(made: Made, sharded: bool) -> None:
    muon = {"inner": {"optimiser": "muon"}}
    made.train("muon", **muon)
    made.train_as_team("team", sharded=sharded, **muon)
    assert made.distance("team", "muon") < 1e-3


def test_bf16_is_near_fp32(made: Made) -> None:
    rough = made.train("rough", precision="bf16")
    assert rough["loss"] == pytest.approx(made.losses["first"], rel=0.02)
    assert 0 < made.distance("rough", "first") < 0.5
