"""llama.cpp through its C interface, as `test/llama-cpp` has it: what people load GGUF files with."""

import ctypes as c
import functools
import platform
import sys
from pathlib import Path
from typing import Any, Self

BINARIES = Path(__file__).parents[2] / "test/llama-cpp/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"
# Whether this is the kind of machine that `scripts/setup.cjs` installs it on.
IS_SHIPPED = sys.platform == "linux" and platform.machine() == "x86_64"


class _Settings(c.Structure):
    """Parameters of a model or a context: only passed on, and larger than either."""

    _fields_ = (("bytes", c.c_uint8 * 1024),)


class _Batch(c.Structure):
    _fields_ = (("count", c.c_int32), ("pointers", c.c_void_p * 6))


@functools.cache
def _library() -> Any:  # noqa: ANN401 - functions of C have no types
    assert BINARIES.is_dir(), f"no llama.cpp in {BINARIES}; `npm run check` installs it"
    for name in ("libggml-base.so", "libggml.v0.5.0.so"):
        ggml = c.CDLL(str(BINARIES / name), mode=c.RTLD_GLOBAL)
    lib = c.CDLL(str(BINARIES / "libllama.v0.5.0.so"))
    ids = c.POINTER(c.c_int32)
    for name, result, *arguments in (
        ("llama_log_set", None, _LOG, c.c_void_p),
        ("llama_model_default_params", _Settings),
        ("llama_context_default_params", _Settings),
        ("llama_model_load_from_file", c.c_void_p, c.c_char_p, _Settings),
        ("llama_model_get_vocab", c.c_void_p, c.c_void_p),
        ("llama_model_chat_template", c.c_char_p, c.c_void_p, c.c_char_p),
        ("llama_vocab_n_tokens", c.c_int32, c.c_void_p),
        ("llama_vocab_bos", c.c_int32, c.c_void_p),
        ("llama_vocab_eos", c.c_int32, c.c_void_p),
        ("llama_vocab_is_eog", c.c_bool, c.c_void_p, c.c_int32),
        ("llama_tokenize", c.c_int32, c.c_void_p, c.c_char_p, c.c_int32, ids, c.c_int32, c.c_bool, c.c_bool),
        ("llama_init_from_model", c.c_void_p, c.c_void_p, _Settings),
        ("llama_set_n_threads", None, c.c_void_p, c.c_int32, c.c_int32),
        ("llama_batch_get_one", _Batch, ids, c.c_int32),
        ("llama_decode", c.c_int32, c.c_void_p, _Batch),
        ("llama_get_logits_ith", c.POINTER(c.c_float), c.c_void_p, c.c_int32),
        ("llama_free", None, c.c_void_p),
        ("llama_model_free", None, c.c_void_p),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.llama_log_set(_SILENT, None)
    ggml.ggml_backend_load_all_from_path(str(BINARIES).encode())
    lib.llama_backend_init()
    return lib


_LOG = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
_SILENT = _LOG(lambda *_: None)


class Llama:
    """A GGUF file in memory."""

    def __init__(self, path: Path) -> None:
        self._lib = _library()
        self._model = self._lib.llama_model_load_from_file(str(path).encode(), self._lib.llama_model_default_params())
        assert self._model, f"llama.cpp does not load {path}"
        self._vocab = self._lib.llama_model_get_vocab(self._model)
        self.vocab_size: int = self._lib.llama_vocab_n_tokens(self._vocab)
        self.bos: int = self._lib.llama_vocab_bos(self._vocab)
        self.eos: int = self._lib.llama_vocab_eos(self._vocab)
        template = self._lib.llama_model_chat_template(self._model, None)
        self.template = None if template is None else template.decode()

    def ends(self, token: int) -> bool:
        """Whether a token ends what is generated."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text, with what its tokenizer puts around it."""
        data = text.encode()
        ids = (c.c_int32 * (len(data) + 16))()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), ids, len(ids), True, True)
        return list(ids[:count])

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """The likeliest tokens that follow, one after the other."""
        context = self._lib.llama_init_from_model(self._model, self._lib.llama_context_default_params())
        # Its own choice of threads waits in busy loops, for minutes where the cores have other work.
        self._lib.llama_set_n_threads(context, 1, 1)
        found: list[int] = []
        fresh = prompt
        for _ in range(count):
            ids = (c.c_int32 * len(fresh))(*fresh)
            assert self._lib.llama_decode(context, self._lib.llama_batch_get_one(ids, len(fresh))) == 0
            scores = self._lib.llama_get_logits_ith(context, -1)[: self.vocab_size]
            fresh = [max(range(self.vocab_size), key=scores.__getitem__)]
            found += fresh
        self._lib.llama_free(context)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lib.llama_model_free(self._model)
