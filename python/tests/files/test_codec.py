"""Codecs and files of tensors: round trips, golden bytes, and what is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emeth.files.codec import BLOCK, CHUNK, EncodedReader, decode_chunk, encode_chunk, encode_file, encoded_layout
from emeth.files.tensors import TensorFileError, TensorReader, TensorSpec, header_bytes, write_tensors
from emeth.rounds.update_norms import inspect_update

floats = st.floats(-(2.0**100), 2.0**100, width=32)
LAYOUT = {"a": TensorSpec("F32", (3, 100)), "b": TensorSpec("F32", (1,)), "c": TensorSpec("F32", (CHUNK + 300,))}


def round_trip(codec: str, values: torch.Tensor) -> torch.Tensor:
    payload, scales = encode_chunk(codec, values)
    out = torch.full_like(values, torch.nan)
    decode_chunk(codec, payload, scales, out)
    return out


@given(arrays(np.float32, st.integers(1, 3 * BLOCK + 5), elements=floats))
def test_int8_errs_by_half_a_step_at_most(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    error = (round_trip("int8", x) - x).abs().double()
    for start in range(0, len(x), BLOCK):
        step = x[start : start + BLOCK].abs().max().double() / 127
        assert error[start : start + BLOCK].max() <= step * 0.5001 + 2.0**-119


@given(arrays(np.float32, st.integers(1, 600), elements=floats))
def test_bf16_errs_by_one_part_in_256_at_most(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    assert ((round_trip("bf16", x) - x).abs() <= x.abs() / 256 + 1e-38).all()


@given(arrays(np.float32, st.integers(1, 600), elements=floats))
def test_fp32_is_exact(values: np.ndarray) -> None:
    assert torch.equal(round_trip("fp32", torch.from_numpy(values)), torch.from_numpy(values))


@pytest.mark.parametrize("value", [0.0, 1e-40, -1e-45, 3.4e38])
def test_int8_when_extreme(value: float) -> None:
    x = torch.full((300,), value)
    assert torch.allclose(round_trip("int8", x), x, rtol=0.01, atol=1e-35)


def make_update(path: Path, codec: str = "int8") -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = {name: torch.randn(spec.shape, generator=generator) for name, spec in LAYOUT.items()}
    encode_file(str(path), codec, LAYOUT, tensors.__getitem__)
    return tensors


@pytest.mark.parametrize(("codec", "tolerance"), [("int8", 0.02), ("bf16", 0.02), ("fp32", 0)])
def test_encoded_file_reads_back(codec: str, tolerance: float, tmp_path: Path) -> None:
    tensors = make_update(tmp_path / "update", codec)
    reader = EncodedReader(str(tmp_path / "update"), codec, LAYOUT)
    tail = torch.empty(300)
    reader.read("c", CHUNK, tail)
    assert torch.allclose(tail, tensors["c"][CHUNK:], atol=tolerance)
    norm = float(torch.sqrt(sum((t.double() ** 2).sum() for t in tensors.values())))
    assert inspect_update(str(tmp_path / "update"), codec, LAYOUT) == pytest.approx(norm, rel=1e-3)


def test_int8_file_is_a_quarter(tmp_path: Path) -> None:
    make_update(tmp_path / "update")
    numbers = sum(spec.count for spec in LAYOUT.values())
    assert (tmp_path / "update").stat().st_size < 1.02 * numbers + 1000


def test_files_are_those_of_the_safetensors_library(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = make_update(tmp_path / "update", "fp32")
    loaded = load_file(str(tmp_path / "update"))
    assert all(torch.equal(loaded[name], tensors[name]) for name in LAYOUT)
    save_file(tensors, str(tmp_path / "theirs"))
    TensorReader(str(tmp_path / "theirs"), LAYOUT).close()


def write_raw(path: Path, header: bytes, data: bytes = b"") -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def gate(path: Path) -> str:
    with pytest.raises(TensorFileError) as error:
        inspect_update(str(path), "int8", LAYOUT)
    return str(error.value)


def rewrite(path: Path, **changes: TensorSpec | None) -> None:
    """An update of zeros with some tensors changed or (None) left out."""
    layout = dict(encoded_layout("int8", LAYOUT))
    for name, spec in changes.items():
        key = name.replace("_", ".")
        if spec is None:
            del layout[key]
        else:
            layout[key] = spec
    write_tensors(str(path), layout, [bytes(spec.num_bytes) for spec in layout.values()])


class TestGate:
    """A stranger's file is rejected with the reason, and never trusted for a size."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "update"

    def test_default(self, path: Path) -> None:
        rewrite(path)
        assert inspect_update(str(path), "int8", LAYOUT) == 0

    def test_when_shape_is_wrong(self, path: Path) -> None:
        rewrite(path, a_q=TensorSpec("I8", (100, 3)))
        assert "shape [100, 3], not [3, 100]" in gate(path)

    def test_when_dtype_is_wrong(self, path: Path) -> None:
        rewrite(path, a_q=TensorSpec("U8", (3, 100)))
        assert "dtype U8, not I8" in gate(path)

    def test_when_tensor_is_extra(self, path: Path) -> None:
        rewrite(path, spare=TensorSpec("I8", (1,)))
        assert "does not belong" in gate(path)

    def test_when_tensor_is_missing(self, path: Path) -> None:
        rewrite(path, b_scale=None)
        assert "b.scale is missing" in gate(path)

    def test_when_header_is_huge(self, path: Path) -> None:
        path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
        assert "claims 4611686018427387904 bytes" in gate(path)

    def test_when_header_is_deep(self, path: Path) -> None:
        write_raw(path, b"[" * 200_000)
        assert "not JSON" in gate(path)

    def test_when_header_is_no_object(self, path: Path) -> None:
        write_raw(path, b"[1]")
        assert "not an object" in gate(path)

    def test_when_key_appears_twice(self, path: Path) -> None:
        write_raw(path, b'{"a":1,"a":2}')
        assert "twice" in gate(path)

    @pytest.mark.parametrize("end", [0, 7, 8, 40, -1])
    def test_when_truncated(self, path: Path, end: int) -> None:
        make_update(path)
        path.write_bytes(path.read_bytes()[:end])
        gate(path)

    def test_when_longer_than_its_header(self, path: Path) -> None:
        make_update(path)
        path.write_bytes(path.read_bytes() + b"\0")
        assert "its header speaks of" in gate(path)

    @pytest.mark.parametrize(
        "entry",
        [
            b'{"dtype":"I8","shape":[1],"data_offsets":[0,2]}',
            b'{"dtype":"I8","shape":[2],"data_offsets":[1,3]}',
            b'{"dtype":"I8","shape":[-2],"data_offsets":[0,2]}',
            b'{"dtype":"I8","shape":[true],"data_offsets":[0,2]}',
            b'{"dtype":"F64","shape":[2],"data_offsets":[0,16]}',
            b'{"dtype":["I8"],"shape":[2],"data_offsets":[0,2]}',
            b'{"dtype":"I8","shape":[99999999999,99999999999],"data_offsets":[0,2]}',
            b"7",
        ],
    )
    def test_when_entry_is_malformed(self, path: Path, entry: bytes) -> None:
        write_raw(path, b'{"a.q":' + entry + b"}", b"\0\0")
        gate(path)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("codec", ["int8", "bf16", "fp32"])
    def test_when_not_finite(self, path: Path, codec: str, bad: float) -> None:
        layout = encoded_layout(codec, LAYOUT)
        tensors = {
            name: np.ones(spec.count, {"I8": "i1", "F32": "f4", "BF16": "u2"}[spec.dtype])
            for name, spec in layout.items()
        }
        name = "c.scale" if codec == "int8" else "c"
        bits = np.array([bad], np.float32)
        tensors[name][-1] = bits[0] if codec != "bf16" else bits.view(np.uint32)[0] >> 16
        write_tensors(str(path), layout, list(tensors.values()))
        if bad < 0 and codec == "int8":
            assert "negative scale" in gate(path)
        else:
            assert not np.isfinite(inspect_update(str(path), codec, LAYOUT))

    def test_when_finite_but_beyond_all_measure(self, path: Path) -> None:
        encode_file(str(path), "fp32", LAYOUT, lambda name: torch.full(LAYOUT[name].shape, 3e38))
        assert not np.isfinite(inspect_update(str(path), "fp32", LAYOUT))

    @settings(max_examples=150)
    @given(st.data())
    def test_survives_any_damaged_header(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        path = tmp_path_factory.getbasetemp() / "damaged"
        small = {"a": LAYOUT["a"]}
        whole = bytearray(header_bytes(encoded_layout("int8", small)) + bytes(308))
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(whole)
        try:
            inspect_update(str(path), "int8", small)
        except TensorFileError as error:
            assert str(error)
