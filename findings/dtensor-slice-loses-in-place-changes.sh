#!/bin/sh
# torch 2.13.0
#
# FSDP2 (fully_shard) makes weights DTensors. A part of a weight, w[0:2] or w.chunk(2)[0], is a view of it like that
# of any tensor, and what is done to it in place changes the weight: but only where the part lies across a dimension
# that is not shared out. Along the shared one (rows, by default) the part is a tensor of its own, gathered from the
# processes, and the change is lost: no error, no warning, the weight stays as it is. An optimiser that treats
# query, key and value of a fused matrix one by one (Muon, LARS, clipping by layer) so trains nothing, or only
# some layers: those stored input × output, as GPT-2's, go on working, those of nn.Linear do not.
#
# Seen with gloo, two processes, zeros of 4 × 4 shared by rows, 1 added in place to a part under no_grad; the sum
# of the weight afterwards:
#   w                  16
#   w[0:4]             16
#   w[:, 0:2]           8
#   w[0:2]              0, where 8 is right
#   w[1]                0, where 4 is right
#   w.t()[:, 0:2]       0, where 8 is right
#   w.chunk(2)[0]       0, where 8 is right
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > look.py <<'PY'
import os
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor


def work(rank, port, results):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (2,))

    def changed(part):
        weight = distribute_tensor(torch.zeros(4, 4), mesh, [Shard(0)])
        with torch.no_grad():
            part(weight).add_(1)
        return int(weight.full_tensor().sum())

    found = [
        changed(lambda w: w),
        changed(lambda w: w[0:4]),
        changed(lambda w: w[:, 0:2]),
        changed(lambda w: w[0:2]),
        changed(lambda w: w[1]),
        changed(lambda w: w.t()[:, 0:2]),
        changed(lambda w: w.chunk(2)[0]),
    ]
    if rank == 0:
        results.put(found)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = mp.get_context("spawn")
    results = context.SimpleQueue()
    mp.spawn(work, (port, results), nprocs=2)
    found = results.get()
    print(" ", found)
    raise SystemExit(0 if found == [16, 16, 8, 0, 0, 0, 0] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
