#!/bin/sh
# pyarrow 25.0.1
#
# ParquetFile.iter_batches hands out small batches, but keeps the compressed column chunk of the whole row group
# in memory meanwhile. Row groups have up to a million rows by default, which for texts is gigabytes. buffer_size
# alone, which the documentation offers for reading in pieces, changes nothing, because pre_buffer is on;
# pre_buffer=False alone, which it offers for minimal memory, changes nothing either. Both together do it, and
# memory_map=True undoes it.
#
# Seen for one row group of 60 MB, read in batches of 64 rows, growth of the process:
#   nothing given                                          the whole chunk and more
#   buffer_size=1 MiB                                      the whole chunk and more
#   pre_buffer=False                                       the whole chunk and more
#   buffer_size=1 MiB, pre_buffer=False                    half of it at most (21 MB)
#   buffer_size=1 MiB, pre_buffer=False, memory_map=True   the whole chunk and more
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==25.0.1
cat > look.py <<'PY'
import os
import subprocess
import sys

READ = """
import resource, sys
import pyarrow.parquet as parquet
file = parquet.ParquetFile("texts.parquet", **eval(sys.argv[1]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
rows = sum(batch.num_rows for batch in file.iter_batches(batch_size=64, columns=["text"], use_threads=False))
print(peak() - before)
"""
WRITE = """
import random
import pyarrow as pa
import pyarrow.parquet as parquet
texts = [random.Random(i).randbytes(1_000).hex() for i in range(30_000)]
parquet.write_table(pa.table({"text": texts}), "texts.parquet", row_group_size=10**9)
"""
subprocess.run([sys.executable, "-c", WRITE], check=True)
size = os.path.getsize("texts.parquet")
window, unbuffered = {"buffer_size": 2**20}, {"pre_buffer": False}
chosen = [{}, window, unbuffered, window | unbuffered, window | unbuffered | {"memory_map": True}]
found = []
for options in chosen:
    grown = int(subprocess.run([sys.executable, "-c", READ, repr(options)], check=True, capture_output=True, text=True).stdout)
    found.append(grown / size)
    print(f"  {options}: {grown / 1e6:.0f} MB for a row group of {size / 1e6:.0f} MB")
lean = found.pop(3)
raise SystemExit(0 if lean < 0.5 and min(found) > 0.9 else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
