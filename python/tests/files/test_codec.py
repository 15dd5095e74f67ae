"""Codecs and files of tensors: round trips, golden bytes, and what is refused."""

import base64
import errno
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emeth.files.codec import CHUNK, EncodedReader, encode_file, encoded_layout, raw
from emeth.files.codecs.blocks import BLOCK
from emeth.files.codecs.names import CODECS
from emeth.files.tensors import (
    TensorFileError,
    TensorReader,
    TensorSpec,
    TensorWriter,
    header_bytes,
    sha256_of,
    write_tensors,
)
from emeth.rounds.update_norms import inspect_update

VECTORS = json.loads((Path(__file__).parents[3] / "test/support/codec-vectors.json").read_text(encoding="utf-8"))
LOSSY = [name for name in CODECS if name != "fp32"]
floats = st.floats(-(2.0**100), 2.0**100, width=32)
LAYOUT = {"a": TensorSpec("F32", (3, 100)), "b": TensorSpec("F32", (1,)), "c": TensorSpec("F32", (CHUNK + 300,))}


def round_trip(codec: str, values: torch.Tensor) -> torch.Tensor:
    out = torch.full_like(values, torch.nan)
    CODECS[codec].decode(CODECS[codec].encode(values), out)
    return out


def vector_input(count: int) -> torch.Tensor:
    """Numbers that any language computes exactly: integers times powers of two, of five sizes in turns."""
    i = torch.arange(count)
    return ((i * i * 7919 + i * 104729) % 2003 - 1001).float() * torch.exp2(-12.0 - i // 97 % 5)


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_are_those_of_the_golden_vectors(codec: str) -> None:
    vector = VECTORS[codec]
    values = vector_input(vector["count"])
    parts = CODECS[codec].encode(values)
    found = {part.suffix: base64.b64encode(raw(t)).decode() for part, t in zip(CODECS[codec].parts, parts, strict=True)}
    assert found == vector["parts"]
    for factor, expected in vector["decoded"].items():
        out = torch.empty_like(values)
        CODECS[codec].decode(parts, out, float(factor))
        assert hashlib.sha256(raw(out)).hexdigest() == expected


@given(st.sampled_from(sorted(CODECS)), st.integers(1, 2 * 4096 + 5))
def test_parts_have_the_lengths_that_readers_expect(codec: str, count: int) -> None:
    parts = CODECS[codec].encode(vector_input(count))
    assert [part.numel() for part in parts] == [part.length(count) for part in CODECS[codec].parts]
    assert torch.isfinite(round_trip(codec, vector_input(count))).all()


@pytest.mark.parametrize("codec", CODECS)
def test_pieces_decode_as_the_whole_does(codec: str) -> None:
    whole = vector_input(3 * 4096 + 300)
    pieces = torch.cat([round_trip(codec, whole[:8192]), round_trip(codec, whole[8192:])])
    assert torch.equal(pieces, round_trip(codec, whole))


@given(arrays(np.float32, st.integers(1, 3 * BLOCK + 5), elements=floats))
def test_int8_errs_by_half_a_step_at_most(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    error = (round_trip("int8", x) - x).abs().double()
    for start in range(0, len(x), BLOCK):
        step = x[start : start + BLOCK].abs().max().double() / 127
        assert error[start : start + BLOCK].max() <= step * 0.5001 + 2.0**-119


@given(arrays(np.float32, st.integers(1, 3 * BLOCK + 5), elements=floats))
def test_int4_errs_by_half_a_step_at_most(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    error = (round_trip("int4", x) - x).abs().double()
    for start in range(0, len(x), BLOCK):
        step = x[start : start + BLOCK].abs().max().double() / 8
        # The scale has eight bits, so that the greatest numbers may be a little farther away.
        assert error[start : start + BLOCK].max() <= step * 0.54 + 2.0**-119


@given(arrays(np.float32, st.integers(1, 3 * BLOCK + 5), elements=st.floats(-(2.0**30), 2.0**30, width=32)))
def test_int2_never_leaves_more_than_was_there(values: np.ndarray) -> None:
    x = torch.from_numpy(values).double()
    decoded = round_trip("int2", torch.from_numpy(values)).double()
    for start in range(0, len(x), BLOCK):
        block, error = x[start : start + BLOCK], (decoded - x)[start : start + BLOCK]
        assert error.square().sum() <= 1.01 * block.square().sum() + 1e-60


def test_int2_and_int4_on_normal_numbers_err_as_their_levels_allow() -> None:
    """The least that any 4 or 16 levels leave of a normal distribution is 0.1175 and 0.0095 of its energy."""
    x = torch.randn(1 << 18, generator=torch.Generator().manual_seed(4))
    for codec, most in (("int2", 0.124), ("int4", 0.0130)):
        assert (round_trip(codec, x) - x).square().sum() / x.square().sum() < most


def test_int2_keeps_two_magnitudes_and_zeros_as_they_are() -> None:
    x = torch.zeros(600)
    x[::7], x[3::50] = -0.5, 0.5
    assert torch.equal(round_trip("int2", x), x)


@given(arrays(np.float32, st.integers(1, 4096 + 300), elements=st.sampled_from([0.0, 1.0, -1.0, 2.0, -3.0, 5.0, 1e-3])))
def test_sparse_keeps_the_greatest_and_of_equal_ones_the_first(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    indices, counts, _, _ = CODECS["sparse"].encode(x)
    runs = np.repeat(np.arange(len(counts)), counts.numpy())
    expected = []
    for start in range(0, len(x), 4096):
        order = np.argsort(-np.abs(values[start : start + 4096]), kind="stable")
        expected += sorted(start + order[:64])
    assert (256 * runs + indices.numpy()).tolist() == expected


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        (0, lambda t: t[1:].copy_(t[:-1].clone()), "twice or out of order"),
        (1, lambda t: t[:1].add_(1), "more or fewer"),
        (0, lambda t: t[-1:].fill_(255), "beyond the end"),
        (3, lambda t: t.neg_(), "negative scale"),
    ],
)
def test_sparse_refuses_what_no_encoder_makes(part: int, change: Callable[[torch.Tensor], object], reason: str) -> None:
    x = torch.arange(4096 + 100).float()
    parts = CODECS["sparse"].encode(x)
    change(parts[part])
    with pytest.raises(TensorFileError, match=reason):
        CODECS["sparse"].decode(parts, torch.empty_like(x))


@given(arrays(np.float32, st.integers(1, 600), elements=floats))
def test_bf16_errs_by_one_part_in_256_at_most(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    assert ((round_trip("bf16", x) - x).abs() <= x.abs() / 256 + 1e-38).all()


@given(arrays(np.float32, st.integers(1, 600), elements=floats))
def test_fp32_is_exact(values: np.ndarray) -> None:
    assert torch.equal(round_trip("fp32", torch.from_numpy(values)), torch.from_numpy(values))


@pytest.mark.parametrize("codec", ["int8", "int4", "int2"])
@pytest.mark.parametrize("value", [0.0, 1e-40, -1e-45, 1e35])
def test_blocks_of_one_extreme_number(codec: str, value: float) -> None:
    x = torch.full((300,), value)
    assert torch.allclose(round_trip(codec, x), x, rtol=0.07, atol=1e-35)


def make_update(path: Path, codec: str = "int8") -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = {name: torch.randn(spec.shape, generator=generator) for name, spec in LAYOUT.items()}
    encode_file(str(path), codec, LAYOUT, tensors.__getitem__)
    return tensors


@pytest.mark.parametrize("codec", CODECS)
def test_encoded_file_reads_back(codec: str, tmp_path: Path) -> None:
    tensors = make_update(tmp_path / "update", codec)
    reader = EncodedReader(str(tmp_path / "update"), codec, LAYOUT)
    tail = torch.empty(300)
    reader.read("c", CHUNK, tail)
    assert torch.equal(tail, round_trip(codec, tensors["c"][CHUNK:]))
    decoded = torch.cat([round_trip(codec, tensor.view(-1)) for tensor in tensors.values()])
    norm = float(decoded.double().norm())
    assert inspect_update(str(tmp_path / "update"), codec, LAYOUT) == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize(
    ("codec", "most"), [("bf16", 2), ("int8", 1.02), ("int4", 0.51), ("int2", 0.268), ("sparse", 0.025)]
)
def test_encoded_file_is_as_small_as_promised(codec: str, most: float, tmp_path: Path) -> None:
    make_update(tmp_path / "update", codec)
    numbers = sum(spec.count for spec in LAYOUT.values())
    assert (tmp_path / "update").stat().st_size < most * numbers + 1500


def test_files_are_those_of_the_safetensors_library(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = make_update(tmp_path / "update", "fp32")
    loaded = load_file(str(tmp_path / "update"))
    assert all(torch.equal(loaded[name], tensors[name]) for name in LAYOUT)
    save_file(tensors, str(tmp_path / "theirs"))
    TensorReader(str(tmp_path / "theirs"), LAYOUT).close()


def test_file_put_in_any_order_is_the_one_written_in_a_row(tmp_path: Path) -> None:
    layout = {"a": TensorSpec("F32", (5,)), "b": TensorSpec("U8", (3,)), "c": TensorSpec("F32", (400_000,))}
    a, b, c = np.arange(5, dtype="f4"), b"xyz", np.arange(400_000, dtype="f4")
    with TensorWriter(str(tmp_path / "put"), layout) as file:
        file.put("c", 200_000, c[200_000:])
        file.put("a", 0, a)
        file.put("c", 0, c[:200_000])
        file.seal("a")
        file.write(b)
        file.seal("c")
    assert file.done().sha256 == write_tensors(str(tmp_path / "row"), layout, [a, b, c]).sha256
    assert sha256_of(str(tmp_path / "put")) == file.done().sha256


def test_file_without_room_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        make_update(tmp_path / "update")
    assert list(tmp_path.iterdir()) == []


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

    @pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
    @pytest.mark.parametrize("codec", CODECS)
    def test_when_not_finite(self, path: Path, codec: str, bad: float) -> None:
        tensors = {name: torch.ones(spec.shape) for name, spec in LAYOUT.items()}
        tensors["c"][-1] = bad
        encode_file(str(path), codec, LAYOUT, tensors.__getitem__)
        assert not np.isfinite(inspect_update(str(path), codec, LAYOUT))

    @pytest.mark.parametrize("codec", ["int8", "int4", "int2"])
    def test_when_a_scale_is_negative(self, path: Path, codec: str) -> None:
        layout = encoded_layout(codec, LAYOUT)
        tensors = {name: bytearray(spec.num_bytes) for name, spec in layout.items()}
        tensors["c.scale"][-1] = 0xBF
        write_tensors(str(path), layout, list(tensors.values()))
        with pytest.raises(TensorFileError, match="negative scale"):
            inspect_update(str(path), codec, LAYOUT)

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
