"""A GPT-2 decoder, with the parameter names and layouts of Hugging Face's `GPT2LMHeadModel`.

Because names and layouts agree (linear weights are stored input × output), a θ file *is* the `model.safetensors`
of the exported directory: what the rounds agreed on by hash is what the requester gets, byte for byte.

Names: `transformer.wte.weight` [vocabulary, width], also the output head · `transformer.wpe.weight`
[context, width] · per layer `transformer.h.<i>.`{`ln_1`, `ln_2`}`.`{`weight`, `bias`} and
{`attn.c_attn`, `attn.c_proj`, `mlp.c_fc`, `mlp.c_proj`}`.`{`weight`, `bias`} · `transformer.ln_f.`{`weight`, `bias`}.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from emeth.files.codec import theta_layout
from emeth.files.tensors import Layout, TensorReader
from emeth.models.bell import INIT_STD, bell
from emeth.models.loss import mean_loss
from emeth.models.network import Network
from emeth.wire.commands import NamedBase
from emeth.wire.model_shape import Shape


class Linear(nn.Module):
    """A linear layer with its weight stored [input, output], as GPT-2 files have it."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_in, num_out))
        self.bias = nn.Parameter(torch.empty(num_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)


class Attention(nn.Module):
    """Causal self-attention over all heads at once."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.c_attn = Linear(shape.width, 3 * shape.width)
        self.c_proj = Linear(shape.width, shape.width)

    def forward(self, x_BTC: Tensor) -> Tensor:
        batch, time, width = x_BTC.shape
        qkv = self.c_attn(x_BTC).view(batch, time, 3, self.heads, width // self.heads)
        q_BHTD, k_BHTD, v_BHTD = qkv.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        y_BHTD = F.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, dropout_p=dropout, is_causal=True)
        y_BTC = y_BHTD.transpose(1, 2).reshape(batch, time, width)
        return F.dropout(self.c_proj(y_BTC), self.dropout, self.training)


class Mlp(nn.Module):
    """The two-layer perceptron of a block."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.c_fc = Linear(shape.width, 4 * shape.width)
        self.c_proj = Linear(4 * shape.width, shape.width)

    def forward(self, x_BTC: Tensor) -> Tensor:
        hidden = F.gelu(self.c_fc(x_BTC), approximate="tanh")
        return F.dropout(self.c_proj(hidden), self.dropout, self.training)


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.width)
        self.attn = Attention(shape)
        self.ln_2 = nn.LayerNorm(shape.width)
        self.mlp = Mlp(shape)

    def forward(self, x_BTC: Tensor) -> Tensor:
        x_BTC = x_BTC + self.attn(self.ln_1(x_BTC))
        y_BTC: Tensor = x_BTC + self.mlp(self.ln_2(x_BTC))
        return y_BTC


class Trunk(nn.Module):
    """Embeddings, blocks and the last norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        # Whether the blocks' activations are computed again on the way back instead of being kept.
        self.checkpointing = False
        self.wte = nn.Embedding(shape.vocab_size, shape.width)
        self.wpe = nn.Embedding(shape.context, shape.width)
        self.h = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTC = self.wte(tokens_BT) + self.wpe.weight[: tokens_BT.shape[1]]
        x_BTC = F.dropout(x_BTC, self.dropout, self.training)
        for block in self.h:
            is_light = self.checkpointing and self.training
            x_BTC = checkpoint(block, x_BTC, use_reentrant=False) if is_light else block(x_BTC)
        y_BTC: Tensor = self.ln_f(x_BTC)
        return y_BTC


class Gpt(Network):
    """The language model; its head shares the embedding's weight."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.context = shape.context
        self.vocab_size = shape.vocab_size
        self.transformer = Trunk(shape)

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        return mean_loss(self.transformer(tokens_BT), targets_BT, mask_BT, self.transformer.wte.weight)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        return F.linear(self.transformer(tokens_BT), self.transformer.wte.weight)


class Gpt2Program:
    """A GPT-2 from scratch; its θ file is the `model.safetensors` of the result, byte for byte."""

    def __init__(self, shape: Shape, checkpointing: bool = False) -> None:
        self._shape = shape
        self._checkpointing = checkpointing
        self.context = shape.context
        self.vocab_size = shape.vocab_size
        self.layout: Layout = theta_layout(layout(shape))
        self.num_parameters = count_parameters(shape)

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        return initial_tensors(self._shape, seed)

    def build(self, device: torch.device | str) -> Network:
        model = build(self._shape, device)
        model.transformer.checkpointing = self._checkpointing
        return model

    def frozen(self) -> Iterator[tuple[str, Tensor]]:
        return iter(())

    def write_weights(self, theta: str, directory: Path) -> list[str]:
        TensorReader(theta, self.layout).close()
        shutil.copyfile(theta, directory / "model.safetensors")
        return ["model.safetensors"]

    def configs(self, base: NamedBase | None) -> dict[str, dict[str, Any]]:
        shape = self._shape
        config = {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "vocab_size": shape.vocab_size,
            "n_positions": shape.context,
            "n_ctx": shape.context,
            "n_embd": shape.width,
            "n_layer": shape.layers,
            "n_head": shape.heads,
            "n_inner": None,
            "layer_norm_epsilon": 1e-5,
            "initializer_range": INIT_STD,
            "attn_pdrop": shape.dropout,
            "embd_pdrop": shape.dropout,
            "resid_pdrop": shape.dropout,
            "tie_word_embeddings": True,
            "dtype": "float32",
            "use_cache": True,
        }
        return {"config.json": config}


def build(shape: Shape, device: torch.device | str = "cpu") -> Gpt:
    """A model with its memory allocated, not yet initialised."""
    with torch.device("meta"):
        model = Gpt(shape)
    return model.to_empty(device=device)


def layout(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor, sorted by name; allocates nothing."""
    with torch.device("meta"):
        model = Gpt(shape)
    return {name: tuple(p.shape) for name, p in sorted(model.named_parameters())}


def count_parameters(shape: Shape) -> int:
    """Numbers in the model, the shared head counted once."""
    return sum(int(np.prod(dims)) for dims in layout(shape).values())


def initial_tensors(shape: Shape, seed: int) -> Iterator[tuple[str, Tensor]]:
    """θ_0, tensor by tensor in name order: GPT-2's scheme (σ 0.02, projections into the residual ÷ √(2·layers)).

    Only integer arithmetic and one multiplication are used, so that every machine and version gets the same bits.
    """
    for index, (name, dims) in enumerate(layout(shape).items()):
        if name.endswith(".bias"):
            yield name, torch.zeros(dims)
        elif ".ln_" in name:
            yield name, torch.ones(dims)
        else:
            std = INIT_STD / (2 * shape.layers) ** 0.5 if name.endswith("c_proj.weight") else INIT_STD
            yield name, bell(dims, std, seed, index)
