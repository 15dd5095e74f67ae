"""The work of a probe: weights and data that follow from a seed alone, so that nobody can prepare for it."""

import numpy as np

from emeth.data.sequences import DTYPES
from emeth.files.codec import raw
from emeth.files.philox import words
from emeth.files.tensors import FileRef, TensorSpec, write_tensors
from emeth.models.program import open_program
from emeth.wire.commands import ProbeMake
from emeth.wire.spec import TrainSpec

_TOKEN_PURPOSE = 3


def make_probe(spec: TrainSpec, command: ProbeMake) -> tuple[FileRef, FileRef]:
    """Write θ_0 and a shard of so many blocks, as the command's seed gives them.

    A token is the bitwise and of two random bytes. Even ones would leave nothing to learn: gradients that are only
    noise make Adam's first steps sensitive to the last bit of a sum.
    """
    params, seed = spec.params, command.seed
    program = open_program(params, spec.vocab_size, spec.base)
    theta = write_tensors(command.theta, program.layout, (raw(tensor) for _, tensor in program.initial(seed)))
    dims = (command.blocks, params.batch, params.model.context + 1)
    count = int(np.prod(dims))
    random = words((2 * count + 7) // 8, seed, _TOKEN_PURPOSE, 0).view(np.uint8)
    data = random[:count] & random[count : 2 * count]
    shard = write_tensors(command.shard, {"tokens": TensorSpec(DTYPES[1], dims)}, [data])
    return theta, shard
