"""The θ that a child holds: by deltas one after the other, and by the next child from what is left on disk."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from emeth.files.codec import encode_file, read_theta, write_theta
from emeth.files.tensors import FileRef, TensorSpec, TensorWriter, sha256_of
from emeth.rounds.held_theta import HeldTheta
from emeth.wire.commands import DeltaTheta, RoundRun, WholeTheta, parse_train_command
from emeth.wire.events import Failure

LAYOUT = {"a": TensorSpec("F32", (7, 33)), "b": TensorSpec("F32", (5,))}
Tensors = dict[str, torch.Tensor]


def constant(value: float) -> Tensors:
    return {name: torch.full(spec.shape, value) for name, spec in LAYOUT.items()}


def theta(folder: Path, value: float) -> FileRef:
    path = str(folder / f"whole{value}")
    write_theta(path, LAYOUT, constant(value))
    return FileRef(path, sha256_of(path), Path(path).stat().st_size)


def delta(folder: Path, value: float) -> str:
    path = str(folder / f"delta{value}")
    encode_file(path, "fp32", LAYOUT, constant(value).__getitem__)
    return path


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("theta-*"))


def name_of(whole: FileRef) -> str:
    return f"theta-{whole.sha256}.safetensors"


def step(folder: Path, base: FileRef, after: FileRef, base_path: Path | None = None) -> DeltaTheta:
    given = {"delta": delta(folder, 1.0), "base": base.sha256, "sha256": after.sha256}
    given |= {"basePath": str(base_path)} if base_path else {}
    round_ = {"type": "round.run", "id": 1, "round": 0, "start": 0, "shard": "shard", "theta": given, "out": "out"}
    command = parse_train_command(round_)
    assert isinstance(command, RoundRun)
    assert isinstance(command.theta, DeltaTheta)
    return command.theta


def test_after_each_delta_the_last_two_are_on_disk(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    thetas = [theta(tmp_path, float(i)) for i in range(5)]
    held = HeldTheta(LAYOUT, "fp32", str(work))
    held.take(WholeTheta(path=thetas[0].path, sha256=thetas[0].sha256))
    for base, after in pairwise(thetas):
        held.take(step(tmp_path, base, after))
        assert name_of(after) in kept(work)
        assert len(kept(work)) <= 2
        assert torch.equal(held.read("a"), read_theta(after.path, LAYOUT)["a"])


def test_next_child_goes_on_by_a_delta_alone(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    first, second, third = (theta(tmp_path, float(i)) for i in range(3))
    before = HeldTheta(LAYOUT, "fp32", str(work))
    before.take(WholeTheta(path=first.path, sha256=first.sha256))
    before.take(step(tmp_path, first, second))
    child = HeldTheta(LAYOUT, "fp32", str(work))
    child.take(step(tmp_path, second, third, work / name_of(second)))
    assert torch.equal(child.read("b"), torch.full((5,), 2.0))


def test_files_of_processes_killed_while_they_write_do_not_add_up(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    first, second = theta(tmp_path, 0.0), theta(tmp_path, 1.0)
    whole, next_one = WholeTheta(path=first.path, sha256=first.sha256), step(tmp_path, first, second)
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            held = HeldTheta(LAYOUT, "fp32", str(work))
            held.take(whole)
            TensorWriter.write = lambda *_: os._exit(0)  # type: ignore[method-assign]
            held.take(next_one)
        os.waitpid(pid, 0)
    assert len(kept(work)) == 1, "what the second left lies in place of the first's"
    held = HeldTheta(LAYOUT, "fp32", str(work))
    held.take(whole)
    held.take(next_one)
    assert kept(work) == [name_of(second)]


def test_kept_file_with_other_bytes_is_refused(tmp_path: Path) -> None:
    first, second = theta(tmp_path, 0.0), theta(tmp_path, 1.0)
    child = HeldTheta(LAYOUT, "fp32", str(tmp_path))
    with pytest.raises(Failure, match="does not hash"):
        child.take(step(tmp_path, first, second, Path(second.path)))


def test_delta_for_a_theta_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    first, second = theta(tmp_path, 0.0), theta(tmp_path, 1.0)
    with pytest.raises(Failure, match="this child holds none"):
        HeldTheta(LAYOUT, "fp32", str(tmp_path)).take(step(tmp_path, first, second))
