"""An update and the hash of where it leads, made in one pass, against both made one after the other."""

from pathlib import Path

import pytest
import torch

from emeth.files.codec import CHUNK, encode_file, theta_layout
from emeth.files.codecs.names import CODECS
from emeth.rounds.end_theta import end_theta_of, write_update
from emeth.wire.params import CodecName

# One tensor of several chunks, one of less than a block, one that is hashed at once.
LAYOUT = theta_layout({"b.weight": (5, CHUNK // 2 + 3), "a.bias": (7,), "c.weight": (300, 3)})


@pytest.mark.parametrize("codec", CODECS)
def test_one_pass_gives_the_file_and_hash_of_two(tmp_path: Path, codec: CodecName) -> None:
    torch.manual_seed(1)
    theta = {name: torch.randn(spec.shape) for name, spec in LAYOUT.items()}
    weights = {name: tensor + 0.01 * torch.randn(tensor.shape) for name, tensor in theta.items()}

    update, reached = write_update(f"{tmp_path}/one", codec, LAYOUT, theta.__getitem__, weights.__getitem__)

    expected = encode_file(f"{tmp_path}/two", codec, LAYOUT, lambda name: theta[name] - weights[name])
    assert update.sha256 == expected.sha256
    assert reached == end_theta_of(theta.__getitem__, expected.path, codec, LAYOUT)
