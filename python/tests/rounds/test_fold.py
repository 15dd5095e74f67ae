"""The fold against the same formulas in plain PyTorch, and the weights of deviating updates."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from emeth.files.codec import CHUNK, EncodedReader, encode_file, read_theta, write_theta
from emeth.files.codecs.names import CODECS
from emeth.files.tensors import TensorFileError, TensorReader, TensorSpec, sha256_of
from emeth.rounds.fold import Folded, fold
from emeth.rounds.update_norms import robust_weights
from emeth.wire.commands import Fold, WeightedUpdate
from emeth.wire.params import OuterParams
from tests.child import PATIENCE_SECONDS, PYTHON_DIR

LAYOUT = {
    "a": TensorSpec("F32", (7, 33)),
    "b": TensorSpec("F32", (CHUNK + 777,)),
    "c": TensorSpec("F32", (1,)),
}
Tensors = dict[str, torch.Tensor]
OUTER = OuterParams(lr=0.9, momentum=0.5)


def random_tensors(seed: int, size: float = 1.0) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {name: size * torch.randn(spec.shape, generator=generator) for name, spec in LAYOUT.items()}


def write_updates(folder: Path, codec: str, updates: list[Tensors]) -> list[str]:
    paths = [str(folder / f"update{i}") for i in range(len(updates))]
    for path, update in zip(paths, updates, strict=True):
        encode_file(path, codec, LAYOUT, update.__getitem__)
    return paths


def run_fold(
    folder: Path,
    codec: str,
    paths: list[str],
    round_: int = 0,
    scale: float = 1.0,
    weights: list[float] | None = None,
    used: list[float] | None = None,
) -> Folded:
    command = Fold(
        type="fold",
        id=1,
        theta=str(folder / f"theta{round_}"),
        outer=None if round_ == 0 else str(folder / f"outer{round_}"),
        updates=tuple(
            WeightedUpdate(path=path, weight=weight)
            for path, weight in zip(paths, weights or [1.0] * len(paths), strict=True)
        ),
        scale=scale,
        theta_out=str(folder / f"theta{round_ + 1}"),
        outer_out=str(folder / f"outer{round_ + 1}"),
        delta_out=str(folder / f"delta{round_ + 1}"),
        weights=None if used is None else tuple(used),
    )
    return fold(command, codec, LAYOUT, OUTER)


def decode(path: str, codec: str) -> Tensors:
    reader = EncodedReader(path, codec, LAYOUT)
    tensors = {}
    for name, spec in LAYOUT.items():
        flat = torch.empty(spec.count)
        for start in range(0, spec.count, CHUNK):
            reader.read(name, start, flat[start : start + CHUNK])
        tensors[name] = flat.view(spec.shape)
    return tensors


@pytest.mark.parametrize("codec", ["fp32", "bf16", "int8"])
def test_fold_equals_the_dense_reference(codec: str, tmp_path: Path) -> None:
    theta = random_tensors(0)
    write_theta(str(tmp_path / "theta0"), LAYOUT, theta)
    momentum = {name: torch.zeros(spec.shape) for name, spec in LAYOUT.items()}
    error = {name: torch.zeros(spec.shape) for name, spec in LAYOUT.items()}
    for round_, scale in enumerate([1.0, 0.7, 1.0]):
        updates = [random_tensors(10 * round_ + i, 0.01) for i in (1, 2, 3)]
        paths = write_updates(tmp_path, codec, updates)
        folded = run_fold(tmp_path, codec, paths, round_, scale, [100, 300, 200])
        sent = decode(folded.delta.path, codec)
        seen = [decode(path, codec) for path in paths]
        for name in LAYOUT:
            mean = (100 * seen[0][name] + 300 * seen[1][name] + 200 * seen[2][name]) / 600
            momentum[name] = OUTER.momentum * momentum[name] + mean
            wished = error[name] - OUTER.lr * scale * (mean + OUTER.momentum * momentum[name])
            assert torch.allclose(sent[name], wished, rtol=0.01, atol=3e-4)
            error[name] = wished - sent[name]
            theta[name] = theta[name] + sent[name]
        new_theta = read_theta(folded.theta.path, LAYOUT)
        assert all(torch.allclose(new_theta[name], theta[name], atol=1e-6) for name in LAYOUT)
        theta = new_theta


@pytest.mark.parametrize("codec", CODECS)
def test_delta_applied_by_a_replica_is_theta_bit_for_bit(codec: str, tmp_path: Path) -> None:
    replica = random_tensors(0)
    write_theta(str(tmp_path / "theta0"), LAYOUT, replica)
    for round_ in range(3):
        paths = write_updates(tmp_path, codec, [random_tensors(round_ + 5, 0.01)])
        folded = run_fold(tmp_path, codec, paths, round_)
        sent = decode(folded.delta.path, codec)
        replica = {name: replica[name] + sent[name] for name in LAYOUT}
        mine = write_theta(str(tmp_path / "replica"), LAYOUT, replica)
        assert mine.sha256 == folded.theta.sha256 == sha256_of(folded.theta.path)


@pytest.mark.parametrize("codec", ["bf16", "int8", "int4", "int2", "sparse"])
def test_error_feedback_loses_nothing(codec: str, tmp_path: Path) -> None:
    """What a codec could not send is sent later: the sum of deltas and what is owed is the sum of wished steps."""
    write_theta(str(tmp_path / "theta0"), LAYOUT, random_tensors(0))
    exact, total, momentum = torch.zeros(3, LAYOUT["b"].count)
    for round_ in range(4):
        updates = [random_tensors(round_, 0.01)]
        folded = run_fold(tmp_path, codec, write_updates(tmp_path, codec, updates), round_)
        seen = decode(str(tmp_path / "update0"), codec)["b"]
        momentum = OUTER.momentum * momentum + seen
        exact = exact - OUTER.lr * (seen + OUTER.momentum * momentum)
        total = total + decode(folded.delta.path, codec)["b"]
    with TensorReader(str(tmp_path / "outer4")) as outer:
        owed = torch.frombuffer(outer.read_bytes("b.error"), dtype=torch.float32)
    assert torch.allclose(total + owed, exact, atol=1e-6)
    assert not torch.equal(total, exact)


def test_fold_repeats_itself(tmp_path: Path) -> None:
    write_theta(str(tmp_path / "theta0"), LAYOUT, random_tensors(0))
    paths = write_updates(tmp_path, "int8", [random_tensors(i, 0.01) for i in range(6)])
    first = run_fold(tmp_path, "int8", paths)
    before = sha256_of(first.outer)
    again = run_fold(tmp_path, "int8", paths)
    assert (first.theta.sha256, before, first.delta.sha256) == (
        again.theta.sha256,
        sha256_of(again.outer),
        again.delta.sha256,
    )


def fold_with(capability: str, folder: Path) -> list[str]:
    """The hashes of two rounds' files for each codec, folded by a process bound to these vector instructions."""
    done = subprocess.run(
        [sys.executable, "-c", FOLDS, str(folder)],
        cwd=PYTHON_DIR,
        env=os.environ | {"ATEN_CPU_CAPABILITY": capability},
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


FOLDS = """
import sys
from pathlib import Path
import torch
from emeth.files.codecs.names import CODECS
from emeth.files.tensors import sha256_of
from tests.rounds.test_fold import run_fold
print(torch.backends.cpu.get_cpu_capability())
for threads in (1, 2):
    torch.set_num_threads(threads)
    for codec in CODECS:
        folder = Path(sys.argv[1], codec)
        paths = [str(folder / f"update{i}") for i in range(5)]
        for round_ in (0, 1):
            done = run_fold(folder, codec, paths, round_, 0.7, used=[0.31, 0.123456789, 0.2, 0.3, 0.1])
            print(codec, done.theta.sha256, sha256_of(done.outer), done.delta.sha256, done.norms)
"""


def test_fold_with_given_weights_is_bit_equal_on_every_kind_of_processor(tmp_path: Path) -> None:
    for codec in CODECS:
        (tmp_path / codec).mkdir()
        write_theta(str(tmp_path / codec / "theta0"), LAYOUT, random_tensors(0))
        write_updates(tmp_path / codec, codec, [random_tensors(i + 1, 0.01) for i in range(5)])
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    capabilities = ["default"] + [name for name, flag in (("avx2", "avx2"), ("avx512", "avx512f")) if flag in flags]
    found = {}
    for capability in capabilities:
        used, *lines = fold_with(capability, tmp_path)
        assert used.lower().replace("no avx", "default") == capability
        assert lines[: 2 * len(CODECS)] == lines[2 * len(CODECS) :], "2 threads give other bits than 1"
        found[capability] = lines
    assert all(lines == found["default"] for lines in found.values())


def test_fold_when_order_differs_is_almost_the_same(tmp_path: Path) -> None:
    write_theta(str(tmp_path / "theta0"), LAYOUT, random_tensors(0))
    paths = write_updates(tmp_path, "fp32", [random_tensors(i, 0.01) for i in range(5)])
    first = read_theta(run_fold(tmp_path, "fp32", paths).theta.path, LAYOUT)
    other = read_theta(run_fold(tmp_path, "fp32", paths[::-1]).theta.path, LAYOUT)
    assert all(torch.allclose(first[name], other[name], atol=1e-7) for name in LAYOUT)


def test_fold_throws_when_outer_is_of_another_model(tmp_path: Path) -> None:
    write_theta(str(tmp_path / "theta1"), LAYOUT, random_tensors(0))
    write_theta(str(tmp_path / "outer1"), LAYOUT, random_tensors(0))
    paths = write_updates(tmp_path, "int8", [random_tensors(1)])
    with pytest.raises(TensorFileError):
        run_fold(tmp_path, "int8", paths, 1)
    assert not (tmp_path / "theta2").exists()
    assert not list(tmp_path.glob("*.part"))


def test_norm_clip_when_one_is_far_too_long(tmp_path: Path) -> None:
    write_theta(str(tmp_path / "theta0"), LAYOUT, random_tensors(0))
    paths = write_updates(tmp_path, "fp32", [random_tensors(1), random_tensors(2), random_tensors(3, 100.0)])
    folded = run_fold(tmp_path, "fp32", paths)
    assert folded.clips[:2] == [1.0, 1.0]
    assert folded.clips[2] == pytest.approx(0.03, rel=0.01)


def test_norm_clip_remembers_earlier_rounds(tmp_path: Path) -> None:
    write_theta(str(tmp_path / "theta0"), LAYOUT, random_tensors(0))
    for round_ in range(3):
        run_fold(tmp_path, "fp32", write_updates(tmp_path, "fp32", [random_tensors(round_)]), round_)
    folded = run_fold(tmp_path, "fp32", write_updates(tmp_path, "fp32", [random_tensors(9, 30.0)]), 3)
    assert folded.clips[0] == pytest.approx(0.1, rel=0.01)


def gram_of(vectors: np.ndarray) -> np.ndarray:
    result: np.ndarray = vectors @ vectors.T
    return result


def test_robust_weights_when_all_are_honest_are_the_shares() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(8, 5000)) + 0.5
    share = np.arange(1, 9) / 36
    weights, clips = robust_weights(gram_of(vectors), share, np.empty(0))
    assert weights == pytest.approx(share, rel=1e-6)
    assert clips == pytest.approx(np.ones(8))


@pytest.mark.parametrize("attack", [-1.0, -10.0, 50.0, 0.0])
def test_robust_weights_when_two_of_eight_attack(attack: float) -> None:
    rng = np.random.default_rng(1)
    signal = rng.normal(size=5000)
    vectors = signal + rng.normal(size=(8, 5000))
    honest = vectors[2:].mean(axis=0)
    vectors[:2] *= attack
    share = np.full(8, 1 / 8)
    weights, _ = robust_weights(gram_of(vectors), share, np.empty(0))
    error = np.linalg.norm(weights @ vectors - honest) / np.linalg.norm(honest)
    plain = np.linalg.norm(share @ vectors - honest) / np.linalg.norm(honest)
    assert error < 0.45
    assert error <= plain + 0.01


def test_robust_weights_when_some_are_zero() -> None:
    vectors = np.zeros((5, 10))
    weights, clips = robust_weights(gram_of(vectors), np.full(5, 0.2), np.empty(0))
    assert np.isfinite(weights).all()
    assert np.isfinite(clips).all()
