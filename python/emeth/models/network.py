"""A language model as training, evaluation and generation see it, whatever its kind."""

from torch import Tensor, nn


class Network(nn.Module):
    """A causal language model; the parameters that require a gradient are those that are trained."""

    context: int
    vocab_size: int

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Mean loss in nats over the targets whose mask is 1, or over all; 0 where none counts."""
        raise NotImplementedError

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Scores of the next token at every place."""
        raise NotImplementedError
