"""What is trained: an encoder, and on top of it nothing or a linear head."""

from jaxtyping import Float, Shaped
from torch import Tensor, nn


class Network(nn.Module):
    """The encoder and, where there is one, a linear head; the output is the head's, else the representation.

    Args:
        encoder: (b, ...) to (b, d).
        head: d inputs, o outputs; None leaves the representation as it is.

    Example:
        >>> import torch
        >>> x = torch.zeros(5, 3)
        >>> Network(nn.Linear(3, 4))(x).shape, Network(nn.Linear(3, 4), nn.Linear(4, 1))(x).shape
        (torch.Size([5, 4]), torch.Size([5, 1]))
    """

    def __init__(self, encoder: nn.Module, head: nn.Linear | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Shaped[Tensor, "b *shape"]) -> Float[Tensor, "b o"]:
        """Return the outputs (b, o), or the representation (b, d) where there is no head."""
        h = self.encoder(x)
        return h if self.head is None else self.head(h)
