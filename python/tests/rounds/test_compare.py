"""How an update lies to others, against the same numbers from dense vectors."""

from pathlib import Path

import pytest
import torch

from emeth.files.codec import CHUNK, encode_file
from emeth.files.tensors import TensorFileError, TensorSpec
from emeth.rounds.compare import MAX_NUMBER, cosines, distance

LAYOUT = {"a": TensorSpec("F32", (7, 33)), "b": TensorSpec("F32", (CHUNK + 777,))}
COUNT = sum(spec.count for spec in LAYOUT.values())


def vector(seed: int) -> torch.Tensor:
    return torch.randn(COUNT, generator=torch.Generator().manual_seed(seed))


def write(path: Path, values: torch.Tensor, codec: str = "fp32") -> str:
    parts = dict(zip(LAYOUT, values.split([spec.count for spec in LAYOUT.values()]), strict=True))
    encode_file(str(path), codec, LAYOUT, parts.__getitem__)
    return str(path)


def test_cosines_equal_those_of_dense_vectors(tmp_path: Path) -> None:
    mine, near, away = vector(0), vector(0) + 0.1 * vector(1), vector(2)
    paths = [write(tmp_path / name, values) for name, values in zip("mna", (mine, near, away), strict=True)]
    found = cosines(paths[0], [paths[0], paths[1], paths[2]], "fp32", LAYOUT)
    wanted = [1.0, *(float(torch.cosine_similarity(mine, other, dim=0)) for other in (near, away))]
    assert found == pytest.approx(wanted, abs=1e-5)


def test_cosine_with_zeros_is_zero(tmp_path: Path) -> None:
    zeros = write(tmp_path / "zeros", torch.zeros(COUNT))
    assert cosines(write(tmp_path / "mine", vector(0)), [zeros], "fp32", LAYOUT) == [0]


@pytest.mark.parametrize("codec", ["fp32", "bf16", "int8"])
def test_distance_is_relative_to_the_expected(codec: str, tmp_path: Path) -> None:
    expected = write(tmp_path / "expected", vector(0), codec)
    assert distance(write(tmp_path / "same", vector(0), codec), expected, codec, LAYOUT) == 0
    far = write(tmp_path / "far", 3 * vector(0), codec)
    assert distance(far, expected, codec, LAYOUT) == pytest.approx(2, rel=1e-2)
    assert distance(expected, far, codec, LAYOUT) == pytest.approx(2 / 3, rel=1e-2)


@pytest.mark.parametrize(("found", "expected"), [(1.0, 0.0), (float("nan"), 1.0), (1.0, float("inf")), (1e30, 1e-30)])
def test_distance_when_it_is_not_finite_is_the_largest_number(found: float, expected: float, tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, torch.full((COUNT,), value)) for name, value in (("a", found), ("b", expected)))
    assert distance(a, b, "fp32", LAYOUT) == MAX_NUMBER


def test_distance_of_zeros_is_zero(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, torch.zeros(COUNT)) for name in "ab")
    assert distance(a, b, "fp32", LAYOUT) == 0


def test_distance_throws_when_a_file_is_of_another_codec(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", vector(0), "int8"), write(tmp_path / "b", vector(0), "fp32")
    with pytest.raises(TensorFileError):
        distance(a, b, "int8", LAYOUT)
