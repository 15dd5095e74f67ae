"""Data sets in every form, made on the spot."""

import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emeth.data.data import Corpus, Prepared, Source, prepare
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.child import make_params

Named = Sequence[tuple[str, bytes]]


def short(value: object) -> str:
    """A parameter of a test as its name: bytes would be written out."""
    return value if isinstance(value, str) else type(value).__name__


def turns(count: int = 200) -> list[dict[str, Any]]:
    """Chats of one question and one answer."""
    return [
        {"messages": [{"role": "user", "content": f"Was ist {i}?"}, {"role": "assistant", "content": f"Es ist ä{i}."}]}
        for i in range(count)
    ]


def lines(records: Sequence[object]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def tar(files: Named, **facts: Any) -> bytes:  # noqa: ANN401 - fields of a TarInfo
    """A tar archive; `facts` are set on every entry."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for key, value in facts.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: Named) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def prepared(
    folder: Path, content: bytes, base_dir: Path | None = None, processes: int = 1, **changes: object
) -> tuple[Prepared, Corpus]:
    """What becomes of a data set in this folder; parameters are changed as by `make_params`."""
    folder.mkdir(exist_ok=True)
    (folder / "dataset").write_bytes(content)
    params = parse(Params, make_params(**changes))
    directory = None if base_dir is None else str(base_dir)
    source = Source(
        dataset=str(folder / "dataset"),
        max_bytes=10**9,
        work_dir=str(folder),
        base=directory,
        processes=processes,
    )
    return prepare(params, source), Corpus(params, str(folder), directory)


def learnt_text(corpus: Corpus, limit: int = 10**9) -> bytes:
    """The bytes that are learnt of a corpus in bytes, the others as a dot."""
    part = corpus.train
    mask = part.mask
    assert mask is not None
    pairs = zip(part.tokens[:limit].tolist(), mask[:limit].tolist(), strict=True)
    return bytes(token if learnt else ord(".") for token, learnt in pairs)
