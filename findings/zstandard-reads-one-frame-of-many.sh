#!/bin/sh
# zstandard 0.25.0 (Python), pyarrow 25.0.1
#
# A zstd file may consist of several frames: pzstd and seekable writers make them, and `cat a.zst b.zst` does. Of the ways in which the
# package zstandard reads a stream, two give all of it and two the first frame alone, without a word: a data set in 500 frames trains
# as its first five-hundredth. ZstdDecompressor.decompress gives the first frame too; there an option (allow_extra_data=False) makes it an
# error, which read_to_iter and a decompressobj do not have. gzip, bz2 and lzma of the standard library, and pyarrow, read on.
#
# Seen for two frames of 11 bytes each, bytes read:
#   open 22   stream_reader().read() 22   copy_stream 22   pyarrow 22
#   read_to_iter 11   decompressobj 11   decompress 11
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check zstandard==0.25.0 pyarrow==25.0.1
cat > look.py <<'PY'
import io

import pyarrow
import zstandard

frames = b"".join(zstandard.compress(part) for part in (b'{"a": "b"}\n', b'{"c": "d"}\n'))
reader = zstandard.ZstdDecompressor


def copied():
    out = io.BytesIO()
    reader().copy_stream(io.BytesIO(frames), out)
    return out.getvalue()


seen = {
    "open": zstandard.open(io.BytesIO(frames), "rb").read(),
    "stream_reader": reader().stream_reader(io.BytesIO(frames)).read(),
    "copy_stream": copied(),
    "pyarrow": pyarrow.CompressedInputStream(pyarrow.BufferReader(frames), "zstd").read(),
    "read_to_iter": b"".join(reader().read_to_iter(io.BytesIO(frames))),
    "decompressobj": reader().decompressobj().decompress(frames),
    "decompress": reader().decompress(frames),
}
sizes = {name: len(data) for name, data in seen.items()}
print(f"  {sizes}")
whole = ("open", "stream_reader", "copy_stream", "pyarrow")
raise SystemExit(0 if sizes == {name: 22 if name in whole else 11 for name in seen} else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
