"""Teams of processes: what each computes and holds, and that they stay together whatever fails."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from emeth.files.codec import read_theta
from emeth.files.tensors import TensorSpec, write_tensors
from emeth.rounds.base_share import bring_base
from emeth.rounds.processes import Orders, Processes, Shards
from emeth.rounds.train import Trainer
from emeth.wire.events import Inbox
from emeth.wire.parse import parse
from emeth.wire.spec import TrainSpec
from tests.child import Json, train_spec
from tests.conftest import Job
from tests.ranks import answers, run_ranks

SHARDED = pytest.mark.parametrize("sharded", [False, True])


def round_of(job: Job, folder: Path, batch: int, out: str = "update") -> Json:
    """A lease of four blocks."""
    tokens = np.random.default_rng(3).integers(0, 256, (4, batch, 17), np.uint8)
    write_tensors(str(folder / "shard"), {"tokens": TensorSpec("U8", tokens.shape)}, [tokens])
    theta = {"path": job.theta0.path, "sha256": job.theta0.sha256}
    paths = {"shard": str(folder / "shard"), "out": str(folder / out)}
    return {"type": "round.run", "round": 0, "start": 0, "theta": theta, **paths}


def update_of(job: Job, folder: Path, batch: int, size: int, **spec: object) -> torch.Tensor:
    """Every number of the update that a team of this size makes."""
    wanted = train_spec(folder, micro_batch=1, codec="fp32", batch=batch) | spec
    (done,) = answers(wanted, [round_of(job, folder, batch)], size)
    assert done["type"] == "round.done", done
    return torch.cat([each.flatten() for each in read_theta(done["update"]["path"], job.layout).values()])


@SHARDED
@pytest.mark.parametrize("batch", [1, 3])
def test_rows_that_do_not_divide_count_once(job: Job, tmp_path: Path, batch: int, sharded: bool) -> None:
    alone = update_of(job, tmp_path, batch, 1)
    team = update_of(job, tmp_path, batch, 2, sharded=sharded)
    assert (team - alone).norm() < 1e-3 * alone.norm()


def test_three_processes_share_what_does_not_divide(job: Job, tmp_path: Path) -> None:
    alone = update_of(job, tmp_path, 4, 1)
    team = update_of(job, tmp_path, 4, 3, sharded=True)
    assert (team - alone).norm() < 1e-3 * alone.norm()


@SHARDED
def test_failures_of_the_first_process_leave_the_team_together(job: Job, tmp_path: Path, sharded: bool) -> None:
    right = round_of(job, tmp_path, 4)
    commands = [
        right | {"theta": right["theta"] | {"sha256": "0" * 64}},
        right | {"shard": str(tmp_path / "none")},
        right | {"out": str(tmp_path / "shard" / "in-a-file")},
        right,
    ]
    found = answers(train_spec(tmp_path) | {"sharded": sharded}, commands)
    assert [each.get("code", each["type"]) for each in found] == [
        "model/wrong-hash",
        "model/bad-file",
        "data/io",
        "round.done",
    ]


def test_loss_that_is_no_number_ends_the_round_everywhere(job: Job, tmp_path: Path) -> None:
    wild = train_spec(tmp_path, inner={"lr": 1, "clip": 1e30, "weightDecay": 1}, total_blocks=4)
    right = round_of(job, tmp_path, 4)
    nan = torch.full((1,), float("nan"))
    layout = job.layout
    tensors = {name: nan.expand(spec.shape).contiguous() for name, spec in layout.items()}
    broken = write_tensors(str(tmp_path / "nan"), layout, (memoryview(each.numpy()) for each in tensors.values()))
    bad = right | {"theta": {"path": broken.path, "sha256": broken.sha256}}
    found = answers(wild, [bad, right])
    assert [each.get("code", each["type"]) for each in found] == ["train/diverged", "round.done"]


def test_shares_hold_an_equal_part_of_every_matrix(job: Job, tmp_path: Path) -> None:
    spec = parse(TrainSpec, train_spec(tmp_path) | {"sharded": True})

    def work(orders: Orders) -> None:
        team = Shards(orders, "cpu")
        trainer = Trainer(spec, None, None, team)
        held = sum(weight.to_local().numel() for weight in trainer._weights.values())
        assert held < 0.51 * sum(each.count for each in job.layout.values())

    assert run_ranks(2, work) == [0, 0]


def test_first_process_has_nothing_to_do_for_long(job: Job, tmp_path: Path) -> None:
    spec = parse(TrainSpec, train_spec(tmp_path))
    read, write = os.pipe()

    def work(orders: Orders) -> None:
        team = Processes(orders, "cpu")
        inbox = None
        if team.rank == 0:
            inbox = Inbox(os.fdopen(read, "rb"))
            threading.Timer(3, lambda: os.write(write, b"{}\n")).start()
        assert Trainer(spec, inbox, None, team).next_line() == b"{}\n"

    # Nobody waits for longer than this without hearing of the first.
    assert run_ranks(2, work, timeout_ms=1000) == [0, 0]


def test_base_is_brought_to_another_box_once(tmp_path: Path) -> None:
    base = tmp_path / "first" / "abc"
    (base / "inner").mkdir(parents=True)
    (base / "config.json").write_bytes(b"{}")
    (base / "empty").touch()
    (base / "inner" / "weights").write_bytes(os.urandom(20_000_000))
    own = tmp_path / "second"

    def bring(orders: Orders) -> None:
        os.environ |= {"GROUP_RANK": str(orders.rank), "LOCAL_RANK": "0"}
        here = Path(bring_base(orders, str(base) if orders.rank == 0 else "/elsewhere/abc", str(own)))
        assert here == (base if orders.rank == 0 else own / "bases" / "abc")
        found = {str(file.relative_to(here)): file.read_bytes() for file in here.rglob("*") if file.is_file()}
        assert found == {str(f.relative_to(base)): f.read_bytes() for f in base.rglob("*") if f.is_file()}

    assert run_ranks(2, bring) == [0, 0]
    (base / "config.json").unlink()
    (own / "bases" / "abc" / "config.json").unlink()
    assert run_ranks(2, bring) == [0, 0], "a base that is here is not sent again"
