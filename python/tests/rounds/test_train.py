"""The inner loop: schedules, reproducibility, resumption, and two processes against one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from emeth.data.sequences import read_shard
from emeth.files.codec import read_theta
from emeth.models.gpt2 import build, count_parameters, initial_tensors
from emeth.rounds.optimiser import make_optimiser
from emeth.rounds.train import learning_rate, round_warmup
from emeth.wire.params import InnerParams
from emeth.wire.parse import parse
from tests.child import PYTHON_DIR, Child, Json, make_params, train_spec
from tests.conftest import Job


def test_theta0_is_the_same_for_ever(job: Job) -> None:
    assert job.theta0.sha256 == "d4aea134595cbad111b9688182ea2009fbfc0e84bf8e400c1dc5d29b28d569d8"


def test_theta0_has_the_statistics_of_gpt2(job: Job) -> None:
    tensors = dict(initial_tensors(job.shape, 5))
    weight = tensors["transformer.h.1.mlp.c_fc.weight"]
    assert weight.mean().abs() < 0.002
    assert weight.std() == pytest.approx(0.02, rel=0.05)
    assert tensors["transformer.h.1.mlp.c_proj.weight"].std() == pytest.approx(0.01, rel=0.05)
    assert not tensors["transformer.h.0.attn.c_attn.bias"].any()
    assert torch.equal(tensors["transformer.ln_f.weight"], torch.ones(32))
    assert sum(t.numel() for t in tensors.values()) == count_parameters(job.shape)


def test_learning_rate_rises_and_falls() -> None:
    inner = parse(InnerParams, make_params(inner={"lr": 1.0, "warmup": 0.1})["inner"])
    rates = [learning_rate(inner, position, 1000) for position in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[99] == pytest.approx(1.0, abs=1e-4)
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)
    assert learning_rate(inner, 5000, 1000) == pytest.approx(0.1), "beyond the plan the rate stays low"


@pytest.mark.parametrize("steps", [1, 4, 9, 50, 500])
def test_round_warmup_is_short(steps: int) -> None:
    factors = [round_warmup(step, steps) for step in range(steps)]
    assert factors == sorted(factors)
    assert factors[-1] == 1
    assert all(factor > 0 for factor in factors)
    assert sum(factor < 1 for factor in factors) <= min(10, steps / 5)


def run_round(job: Job, folder: Path, name: str, micro_batch: int = 4, processes: int = 1, **changes: object) -> Json:
    """One round of 8 blocks of 4 sequences in a child."""
    shard = folder / "shard"
    job.corpus.cut(0, 8, str(shard))
    theta = {"path": job.theta0.path, "sha256": job.theta0.sha256}
    with Child(train_spec(folder, micro_batch=micro_batch, processes=processes, codec="fp32", **changes)) as child:
        child.event()
        done = child.ask("round.run", round=0, start=0, shard=str(shard), theta=theta, out=str(folder / name))
        assert done["type"] == "round.done", done
        assert child.close() == 0
    return done


def largest_difference(job: Job, a: Path, b: Path) -> float:
    left, right = read_theta(str(a), job.layout), read_theta(str(b), job.layout)
    distance = sum(float(((left[name] - right[name]) ** 2).sum()) for name in left)
    return (distance / sum(float((left[name] ** 2).sum()) for name in left)) ** 0.5


@pytest.fixture(scope="module")
def plain(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Json]]:
    folder = tmp_path_factory.mktemp("plain")
    yield folder / "update", run_round(job, folder, "update")


def test_round_equals_a_loop_written_out(job: Job, plain: tuple[Path, Json]) -> None:
    torch.set_num_threads(1)
    model = build(job.shape).train()
    start = read_theta(job.theta0.path, job.layout)
    model.load_state_dict(start)
    optimiser = make_optimiser(model, job.params.inner)
    losses = []
    for step, block in enumerate(read_shard(str(plain[0].parent / "shard"), 4, 16, 256).tokens):
        tokens = torch.from_numpy(block.astype(np.int64))
        optimiser.set_rate(learning_rate(job.params.inner, step, 64) * round_warmup(step, 8))
        model.zero_grad()
        loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), job.params.inner.clip)
        optimiser.step()
        losses.append(float(loss.detach()))
    update = read_theta(str(plain[0]), job.layout)
    for name, weight in model.named_parameters():
        assert torch.allclose(start[name] - weight.detach(), update[name], atol=1e-7), name
    assert plain[1]["loss"] == pytest.approx(np.mean(losses), rel=1e-6)


@pytest.mark.parametrize("micro_batch", [1, 3, 100])
def test_micro_batches_equal_the_whole_batch(
    job: Job, plain: tuple[Path, Json], tmp_path: Path, micro_batch: int
) -> None:
    done = run_round(job, tmp_path, "update", micro_batch=micro_batch)
    assert done["loss"] == pytest.approx(plain[1]["loss"], rel=1e-5)
    assert largest_difference(job, plain[0], tmp_path / "update") < 1e-3


def test_two_processes_equal_one(job: Job, plain: tuple[Path, Json], tmp_path: Path) -> None:
    done = run_round(job, tmp_path, "update", micro_batch=1, processes=2)
    assert done["lossCurve"] == pytest.approx(plain[1]["lossCurve"], rel=1e-4)
    assert largest_difference(job, plain[0], tmp_path / "update") < 1e-3


def test_processes_when_canceled_and_closed(job: Job, tmp_path: Path) -> None:
    shard = tmp_path / "shard"
    job.corpus.cut(0, 3000, str(shard))
    command = {
        "round": 0,
        "start": 0,
        "shard": str(shard),
        "theta": {"path": job.theta0.path, "sha256": job.theta0.sha256},
        "out": str(tmp_path / "update"),
    }
    with Child(train_spec(tmp_path, processes=2), fresh=True) as child:
        child.event()
        running = child.send("round.run", **command)
        assert child.event()["type"] == "progress"
        child.send("round.cancel")
        codes = {(event := child.answer())["id"]: event["code"] for _ in range(2)}
        assert codes == {running: "train/canceled", running + 1: "train/canceled"}
        child.send("round.run", **command)
        assert child.event()["type"] == "progress"
        assert child.close() == 0


def test_dropout_repeats_itself(job: Job, plain: tuple[Path, Json], tmp_path: Path) -> None:
    first = run_round(job, tmp_path, "a", model={"dropout": 0.2})
    again = run_round(job, tmp_path, "b", model={"dropout": 0.2})
    assert first["endTheta"] == again["endTheta"] != plain[1]["endTheta"]


def test_bf16_is_near_fp32(job: Job, plain: tuple[Path, Json], tmp_path: Path) -> None:
    done = run_round(job, tmp_path, "update", precision="bf16")
    assert done["loss"] == pytest.approx(plain[1]["loss"], rel=0.02)


def test_heavy_libraries_stay_out() -> None:
    import subprocess

    modules = "emeth.rounds.train, emeth.children.coordinate"
    code = f"import sys, {modules}; print({{'transformers', 'tokenizers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=PYTHON_DIR)
    assert done.stdout.strip() == b"set()"
