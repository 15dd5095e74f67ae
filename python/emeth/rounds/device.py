"""Threads, memory and device of this process."""

import ctypes
import sys

import torch

from emeth.wire.parse import ParseError
from emeth.wire.spec import MemberSpec, Spec, TrainSpec

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_MMAP_BYTES = 256 * 1024
# The greatest that the C library allows.
_MOST_MMAP_BYTES = 32 * 1024 * 1024
_KEPT_BYTES = 64 * 1024 * 1024


def set_up(spec: Spec) -> None:
    """Pin the thread count and make sure the device exists. Raises ParseError."""
    if spec.threads > 0:
        torch.set_num_threads(spec.threads)
    if isinstance(spec, TrainSpec) and spec.params.gradient_checkpointing:
        _keep_memory_small()
    else:
        keep_freed_memory()
    if spec.device != "cpu" and not torch.cuda.is_available():
        raise ParseError(f"spec.device is {spec.device!r}, but PyTorch finds no CUDA device here.")
    if isinstance(spec, TrainSpec | MemberSpec) and spec.device != "cpu" and spec.processes > torch.cuda.device_count():
        raise ParseError(f"spec.processes is {spec.processes}, but only {torch.cuda.device_count()} devices are here.")
    if ":" in spec.device and int(spec.device.split(":")[1]) >= torch.cuda.device_count():
        raise ParseError(f"spec.device is {spec.device!r}, but only {torch.cuda.device_count()} devices are here.")


def keep_freed_memory() -> None:
    """Have the C library keep up to 64 MiB of what is freed for what is needed next.

    Codecs and folds take and free buffers of 1 MiB all the time. Given back to the system, each of their pages costs
    more to get anew than all that is computed in it: `int2` was measured five times slower.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MOST_MMAP_BYTES)


def _keep_memory_small() -> None:
    """Have the C library give freed tensors back at once, instead of keeping them for tensors that no longer fit.

    Measured with adapters on bases of 124M and 134M numbers: a quarter less beside the base, for a tenth of speed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


def device_name(device: str) -> str:
    """The device as people call it."""
    if device == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return str(torch.cuda.get_device_name(device))
