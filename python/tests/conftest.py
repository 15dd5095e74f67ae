"""A tiny job, prepared once for all tests that only read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from emeth.data.data import Corpus, prepare
from emeth.files.codec import theta_layout
from emeth.files.tensors import FileRef, TensorSpec
from emeth.models.gpt2 import layout
from emeth.wire.model_shape import Shape
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests import child
from tests.child import make_params, sample_text, source

torch.set_num_threads(1)


@dataclass(frozen=True)
class Job:
    """Paths and facts of the tiny job."""

    params: Params
    shape: Shape
    layout: dict[str, TensorSpec]
    work_dir: Path
    dataset: Path
    corpus: Corpus
    theta0: FileRef


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Prepared data and θ_0."""
    from emeth.files.codec import raw
    from emeth.files.tensors import write_tensors
    from emeth.models.gpt2 import initial_tensors

    work_dir = tmp_path_factory.mktemp("job")
    dataset = work_dir / "data.txt"
    dataset.write_bytes(sample_text())
    params = parse(Params, make_params())
    prepared = prepare(params, source(dataset, work_dir))
    shape = params.shape(prepared.vocab_size)
    names = theta_layout(layout(shape))
    theta0 = write_tensors(str(work_dir / "theta0"), names, (raw(t) for _, t in initial_tensors(shape, params.seed)))
    return Job(params, shape, names, work_dir, dataset, Corpus(params, str(work_dir)), theta0)


@pytest.fixture(scope="session", autouse=True)
def shared_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have children forked, except where a test wants a fresh interpreter."""
    child.fork_server = server = child.ForkServer(tmp_path_factory.mktemp("fork") / "socket")
    yield
    child.fork_server = None
    server.close()


settings.register_profile("emeth", max_examples=50, deadline=None)
settings.load_profile("emeth")
