"""The child as its parent meets it: a real process, its exit statuses and its two streams."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.child import PATIENCE_SECONDS, PYTHON_DIR, Child, Json, coordinate_spec, count_spec, sample_text, train_spec
from tests.conftest import Job

BAD_SPECS = {
    "not JSON": "{",
    "an array": "[]",
    "an unknown kind": {"kind": "dance"},
    "nothing": "\n\n",
    "a missing key": {"kind": "bench", "device": "cpu", "threads": 1},
    "an unknown key": coordinate_spec(Path("/tmp")) | {"extra": 1},
    "a wrong type": coordinate_spec(Path("/tmp")) | {"threads": "1"},
    "a boolean number": coordinate_spec(Path("/tmp")) | {"threads": True},
    "an unknown device": coordinate_spec(Path("/tmp")) | {"device": "tpu"},
    "a missing GPU": coordinate_spec(Path("/tmp")) | {"device": "cuda:99"},
    "a number out of range": coordinate_spec(Path("/tmp"), inner={"lr": 0}),
    "heads that do not divide": coordinate_spec(Path("/tmp"), model={"heads": 3}),
    "an unknown tokenizer": coordinate_spec(Path("/tmp"), tokenizer={"type": "word"}),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_bad_spec_ends_with_64_and_one_sentence(name: str) -> None:
    with Child(BAD_SPECS[name]) as child:
        if name == "nothing":
            assert child.process.stdin is not None
            child.process.stdin.close()
        assert child.end() == 64
        assert child.process.stderr is not None
        message = child.process.stderr.read().decode().strip()
    assert message.endswith(".")
    assert len(message.splitlines()) == 1


def test_no_descriptor_3_ends_with_64() -> None:
    done = subprocess.run(
        ["bash", "-c", 'exec "$0" -m emeth 3>&-', sys.executable],
        cwd=PYTHON_DIR,
        input=b"{}\n",
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 64


def test_coordinate_answers_commands_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(sample_text())
    with Child(coordinate_spec(tmp_path), fresh=True) as child:
        assert child.event() == {"type": "ready", "device": "cpu", "threads": 1, "parameters": 0}
        assert child.ask("init", out=str(tmp_path / "t"))["code"] == "data/not-prepared"
        assert child.ask("prepare", dataset=str(tmp_path / "data.txt"), maxBytes=10)["code"] == "data/too-large"
        assert child.ask("nonsense")["code"] == "command/invalid"
        assert child.ask("cut", start=0)["code"] == "command/invalid"
        answer = child.ask("prepare", dataset=str(tmp_path / "data.txt"), maxBytes=10**6)
        assert answer["type"] == "prepared"
        prepared = answer["prepared"]
        assert prepared["blockTokens"] == 64
        initialised = child.ask("init", out=str(tmp_path / "theta0"))
        assert initialised["theta"]["bytes"] == (tmp_path / "theta0").stat().st_size
        theta = {"theta": str(tmp_path / "theta0")}
        evaluated = child.ask("evaluate", model=theta, maxSequences=0)
        assert evaluated["loss"] == pytest.approx(5.545, abs=0.1)
        assert evaluated["lossPerByte"] == evaluated["loss"]
        assert evaluated["tokens"] == prepared["validationSequences"] * 16
        cut = child.ask("cut", start=3, end=7, out=str(tmp_path / "shard"))
        assert (cut["type"], cut["blocks"]) == ("cut", 4)
        assert child.ask("cut", start=3, end=3, out=str(tmp_path / "x"))["code"] == "data/bad-range"
        (tmp_path / "junk").write_bytes(b"junk")
        inspected = child.ask("inspect", update=str(tmp_path / "junk"))
        assert (inspected["ok"], inspected["norm"]) == (False, 0)
        assert inspected["reason"]
        assert child.ask("compare", update=str(tmp_path / "junk"), expected="x")["code"] == "model/bad-file"
        assert (
            child.ask("evaluate", model={"theta": str(tmp_path / "junk")}, maxSequences=0)["code"] == "model/bad-file"
        )
        assert child.close() == 0
    with Child(coordinate_spec(tmp_path)) as child:
        assert child.event()["parameters"] == initialised["parameters"], "a restarted child knows the job"
        assert (
            child.ask("cut", start=3, end=7, out=str(tmp_path / "again"))["shard"]["sha256"] == cut["shard"]["sha256"]
        )


# What a machine with an old locale has, where Python does not choose UTF-8 by itself.
OLD_LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"}


def test_an_old_locale_changes_no_file(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes("Grüße, Ωκεανός! ".encode() * 400)
    with Child(coordinate_spec(tmp_path), env=OLD_LOCALE) as child:
        assert child.event()["type"] == "ready"
        prepared = child.ask("prepare", dataset=str(tmp_path / "data.txt"), maxBytes=10**6)
        assert prepared["type"] == "prepared", prepared
        child.ask("init", out=str(tmp_path / "theta0"))
        card = {"requester": "Jürgen Ω"}
        exported = child.ask(
            "export", theta=str(tmp_path / "theta0"), directory=str(tmp_path / "model"), card=card, curve=[]
        )
        assert exported["type"] == "exported", exported
        assert child.close() == 0
    assert "Jürgen Ω" in (tmp_path / "model" / "README.md").read_bytes().decode()
    vocabulary = json.loads((tmp_path / "model" / "tokenizer.json").read_bytes())["model"]["vocab"]
    assert "Ġ" in vocabulary


def test_count_says_what_prepare_finds(tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_bytes(sample_text())
    pairs: Json = {"type": "bpe", "vocabSize": 300}
    with Child(coordinate_spec(tmp_path, tokenizer=pairs)) as child:
        child.event()
        prepared = child.ask("prepare", dataset=str(data), maxBytes=10**6)["prepared"]
    with Child(count_spec(tmp_path, str(data), tokenizer=pairs)) as child:
        found = child.answer()
        assert (found["type"], found["prepared"]) == ("counted", prepared)
        assert child.end() == 0


def test_count_refuses_what_prepare_refuses(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(sample_text(70))
    with Child(count_spec(tmp_path, str(tmp_path / "data.txt"))) as child:
        assert child.end() == 64
        assert child.process.stderr is not None
        assert "one block needs 65 and 17" in child.process.stderr.read().decode()


def test_a_crash_ends_with_its_cause_alone(tmp_path: Path) -> None:
    with Child(count_spec(tmp_path, "a\0b"), fresh=True) as child:
        assert child.end() == 1
        assert child.process.stderr is not None
        printed = child.process.stderr.read().decode()
    assert printed.strip().splitlines()[-1] == "ValueError: embedded null byte"
    assert "Fatal Python error" not in printed


def start_round(child: Child, job: Job, folder: Path, num_blocks: int, **changes: object) -> int:
    shard = folder / f"shard{num_blocks}"
    job.corpus.cut(0, num_blocks, str(shard))
    fields: Json = {
        "round": 0,
        "start": 0,
        "shard": str(shard),
        "theta": {"path": job.theta0.path, "sha256": job.theta0.sha256},
        "out": str(folder / "update"),
    }
    return child.send("round.run", **(fields | changes))


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A `train` child that lives through all tests of this file."""
    with Child(train_spec(tmp_path_factory.mktemp("train"))) as child:
        assert child.event()["type"] == "ready"
        yield child


class TestTrain:
    def test_default(self, child: Child, job: Job, tmp_path: Path) -> None:
        start_round(child, job, tmp_path, 20)
        done = child.answer()
        assert done["type"] == "round.done"
        assert done["tokens"] == 20 * 64
        assert len(done["lossCurve"]) == 16
        assert done["lossCurve"][-1] < done["lossCurve"][0]
        assert done["update"]["bytes"] == (tmp_path / "update").stat().st_size

    def test_replay_is_bit_equal(self, child: Child, job: Job, tmp_path: Path) -> None:
        start_round(child, job, tmp_path, 12)
        first = child.answer()
        with Child(train_spec(tmp_path)) as other:
            other.event()
            start_round(other, job, tmp_path, 12)
            again = other.answer()
        for fact in ("endTheta", "loss", "lossCurve"):
            assert first[fact] == again[fact]
        assert first["update"]["sha256"] == again["update"]["sha256"]

    def test_round_cancel_when_running(self, child: Child, job: Job, tmp_path: Path) -> None:
        running = start_round(child, job, tmp_path, 3000)
        assert child.event()["type"] == "progress"
        child.write(json.dumps({"type": "round.cancel", "id": running}))
        canceled = child.answer()
        assert (canceled["type"], canceled["id"], canceled["code"]) == ("failed", running, "train/canceled")
        start_round(child, job, tmp_path, 2)
        assert child.answer()["type"] == "round.done", "the child lives on"

    def test_round_cancel_when_idle(self, child: Child) -> None:
        assert child.ask("round.cancel")["code"] == "train/canceled"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"shard": "/nowhere"}, "model/bad-file"),
            ({"theta": {"path": "/nowhere", "sha256": "0" * 64}}, "data/io"),
            ({"theta": {"delta": "/nowhere", "base": "0" * 64, "sha256": "1" * 64}}, "model/wrong-base"),
            ({"theta": {"path": "x"}}, "command/invalid"),
            ({"round": -1}, "command/invalid"),
        ],
    )
    def test_throws(self, child: Child, job: Job, tmp_path: Path, changes: Json, code: str) -> None:
        start_round(child, job, tmp_path, 2, **changes)
        assert child.answer()["code"] == code

    def test_throws_model_wrong_hash(self, child: Child, job: Job, tmp_path: Path) -> None:
        start_round(child, job, tmp_path, 2, theta={"path": job.theta0.path, "sha256": "1" * 64})
        assert child.answer()["code"] == "model/wrong-hash"

    def test_throws_train_diverged(self, job: Job, tmp_path: Path) -> None:
        with Child(train_spec(tmp_path, inner={"lr": 1, "clip": 1e30, "warmup": 0, "weightDecay": 1})) as child:
            child.event()
            broken = tmp_path / "theta"
            data = bytearray(Path(job.theta0.path).read_bytes())
            data[-4:] = b"\0\0\xc0\x7f"  # one NaN
            broken.write_bytes(data)
            sha256 = hashlib.sha256(data).hexdigest()
            start_round(child, job, tmp_path, 5, theta={"path": str(broken), "sha256": sha256})
            assert child.answer()["code"] == "train/diverged"

    def test_end_of_stdin_when_a_round_runs(self, job: Job, tmp_path: Path) -> None:
        with Child(train_spec(tmp_path), fresh=True) as child:
            child.event()
            start_round(child, job, tmp_path, 5000)
            assert child.event()["type"] == "progress"
            assert child.close() == 0
        # It did not go on to the end.
        assert not (tmp_path / "update").exists()


def test_rounds_by_delta_keep_worker_and_master_bit_equal(job: Job, tmp_path: Path) -> None:
    """Two rounds of two workers; the second θ reaches them as a delta, and its hash is the proof."""
    slow = train_spec(tmp_path, inner={"lr": 1e-3})
    with Child(coordinate_spec(job.work_dir)) as master, Child(slow) as a, Child(slow) as b:
        for child in (master, a, b):
            assert child.event()["type"] == "ready"
        theta: Json = {"path": job.theta0.path, "sha256": job.theta0.sha256}
        current, outer = job.theta0.path, {}
        losses = [master.ask("evaluate", model={"theta": current}, maxSequences=0)["loss"]]
        for round_ in range(3):
            updates = []
            for i, worker in enumerate((a, b)):
                start = (2 * round_ + i) * 8
                shard, out = str(tmp_path / f"shard{i}"), str(tmp_path / f"update{i}")
                master.ask("cut", start=start, end=start + 8, out=shard)
                done = worker.ask("round.run", round=round_, start=start, shard=shard, theta=theta, out=out)
                assert done["type"] == "round.done", done
                assert master.ask("inspect", update=out)["ok"]
                updates.append({"path": out, "weight": done["tokens"]})
            files = {name: str(tmp_path / f"{name}{round_}") for name in ("thetaOut", "outerOut", "deltaOut")}
            folded = master.ask("fold", theta=current, updates=updates, scale=1, **files, **outer)
            assert folded["clips"] == [1, 1]
            assert folded["weights"] == [0.5, 0.5]
            base = theta["sha256"]
            theta = {"delta": folded["delta"]["path"], "base": base, "sha256": folded["theta"]["sha256"]}
            current, outer = folded["theta"]["path"], {"outer": folded["outer"]["path"]}
            losses.append(master.ask("evaluate", model={"theta": current}, maxSequences=0)["loss"])
        assert losses == sorted(losses, reverse=True)
        assert master.close() == a.close() == b.close() == 0


def test_updates_are_inspected_compared_and_folded_with_given_weights(child: Child, job: Job, tmp_path: Path) -> None:
    start_round(child, job, tmp_path, 12)
    done = child.answer()
    update = done["update"]["path"]
    start_round(child, job, tmp_path, 8, out=str(tmp_path / "other"))
    other = child.answer()["update"]["path"]
    shard = str(tmp_path / "shard12")
    with Child(coordinate_spec(job.work_dir)) as master:
        master.event()
        question = {"theta": job.theta0.path, "shard": shard, "sequences": 4}
        seen = master.ask("inspect", update=update, others=[other, update], gain=question)
        assert seen["ok"]
        assert seen["gain"] > 0.01
        assert "endTheta" not in seen
        assert master.ask("inspect", update=update, theta=job.theta0.path)["endTheta"] == done["endTheta"]
        assert master.ask("inspect", update=other, theta=job.theta0.path)["endTheta"] != done["endTheta"]
        assert seen["cosines"] == [pytest.approx(0.9, abs=0.09), pytest.approx(1)]
        assert "gain" not in master.ask("inspect", update=update)
        assert master.ask("inspect", update=update, gain=question | {"shard": update})["code"] == "data/bad-shard"
        assert master.ask("compare", update=update, expected=update)["distance"] == 0
        assert 0.1 < master.ask("compare", update=other, expected=update)["distance"] < 1

        both = [{"path": update, "weight": 12}, {"path": other, "weight": 8}]
        files = {name: str(tmp_path / name) for name in ("thetaOut", "outerOut", "deltaOut")}
        fold: Json = {"theta": job.theta0.path, "updates": both, "scale": 1, **files}
        first = master.ask("fold", **fold)
        assert first["weights"] == pytest.approx([0.6, 0.4])
        again = master.ask("fold", **fold, weights=first["weights"])
        assert (again["theta"], again["weights"]) == (first["theta"], first["weights"])
        changed = master.ask("fold", **fold, weights=[0.5, 0.5])
        assert changed["theta"]["sha256"] != first["theta"]["sha256"]
        assert changed["weights"] == first["weights"], "the answer tells what would have been computed"
        assert master.ask("fold", **fold, weights=[1])["code"] == "command/invalid"


def test_bench_measures_speed(tmp_path: Path) -> None:
    with Child({"kind": "bench", "device": "cpu", "threads": 1, "workDir": str(tmp_path)}) as child:
        assert child.event()["type"] == "ready"
        benched = child.event()
        assert benched["gflops"] > 0
        assert benched["memoryBytes"] > 2**20
        assert child.close() == 0
