"""A trained model as its directory holds it, opened to be used: a whole model, or an adapter and its base."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emeth.files.tensors import TensorReader
from emeth.models.base import Base, read_base
from emeth.wire.events import Failure

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Result:
    """Where the parts of a model lie; of a whole one both are its directory."""

    directory: str
    whole: Base

    @property
    def is_adapter(self) -> bool:
        return self.directory != self.whole.directory

    def place_of(self, *names: str) -> str:
        """The directory that holds one of these files: the result's own, where it does, else the base's."""
        own = any(Path(self.directory, name).is_file() for name in names)
        return self.directory if own else self.whole.directory


def find_result(directory: str, base: str | None) -> Result:
    """Check what a directory holds, without loading it. Raises `model/…` and `base/…`."""
    names = {file.name for file in Path(directory).iterdir()} if Path(directory).is_dir() else set()
    if "config.json" in names:
        return Result(directory, read_base(directory))
    if ADAPTER_CONFIG not in names:
        raise Failure("model/bad-directory", f"{directory} holds neither config.json nor {ADAPTER_CONFIG}.")
    if ADAPTER_WEIGHTS not in names:
        raise Failure("model/bad-directory", f"{directory} holds an {ADAPTER_CONFIG}, but no {ADAPTER_WEIGHTS}.")
    if base is None:
        raise Failure("model/no-base", f"{directory} holds an adapter; name the directory of its base as well.")
    return Result(directory, read_base(base))


def load_result(result: Result, device: str) -> Any:  # noqa: ANN401 - a class of transformers
    """The model, ready to compute; an adapter lies on its base. Nothing is unpickled, no code of a directory is run."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    from emeth.models.hf import attention_of

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    dtype = torch.float32 if device == "cpu" else "auto"
    place, local = result.whole.directory, {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(place, **local)
    model: Any = AutoModelForCausalLM.from_pretrained(
        place, config=config, attn_implementation=attention_of(config), dtype=dtype, use_safetensors=True, **local
    )
    return (_merged(model, result) if result.is_adapter else model).to(device).eval()


def _merged(model: Any, result: Result) -> Any:  # noqa: ANN401
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict

    config = PeftConfig.from_pretrained(result.directory)
    if config.peft_type != "LORA":
        raise Failure(
            "model/bad-directory", f"{result.directory} holds an adapter of type {config.peft_type}, not LORA."
        )
    try:
        adapted = PeftModel.from_pretrained(model, result.directory, config=config)
    except (ValueError, RuntimeError) as error:
        message = f"The adapter in {result.directory} does not fit this base: {str(error)[:300]}"
        raise Failure("model/other-base", message) from error
    # peft drops what a base has no place for (findings/peft-drops-what-the-base-lacks.sh).
    with TensorReader(f"{result.directory}/{ADAPTER_WEIGHTS}") as file:
        lacking = sorted(
            {name for name in file.layout if ".lora_" in name}
            - get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
        )
    if lacking:
        message = f"The adapter in {result.directory} holds {lacking[0]}, which this base has no place for."
        raise Failure("model/other-base", message)
    return adapted.merge_and_unload()
