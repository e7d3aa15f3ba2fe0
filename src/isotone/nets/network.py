"""What is trained: an encoder, on top of it nothing or a linear head, and other ways through it, each by its name."""

from collections.abc import Mapping

from jaxtyping import Float, Shaped
from torch import Tensor, nn


class Network(nn.Module):
    """The encoder and what a method puts around it for training.

    `net(x)` is what stays when training is over: the head's output where there is a head, else the representation.
    `net(x, part)` is the named part's output. A part is a module that is given the encoder and the input, so it may
    also cut the input up or embed it in pieces: `projection` (see `isotone.nets.heads`) is the plainest.

    Args:
        encoder: (b, ...) to (b, d).
        head: d inputs, o outputs; None leaves the representation as it is.
        parts: by name, modules whose forward takes (encoder, x) to (b, o). They are not part of the finished model.

    Example:
        >>> import torch
        >>> x = torch.zeros(5, 3)
        >>> Network(nn.Linear(3, 4))(x).shape, Network(nn.Linear(3, 4), nn.Linear(4, 1))(x).shape
        (torch.Size([5, 4]), torch.Size([5, 1]))
    """

    def __init__(
        self, encoder: nn.Module, head: nn.Linear | None = None, parts: Mapping[str, nn.Module] | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.parts = nn.ModuleDict(parts)

    def forward(self, x: Shaped[Tensor, "b *shape"], part: str | None = None) -> Float[Tensor, "b *o"]:
        """Return the outputs (b, o), the representation (b, d) where there is no head, or the named part's output."""
        if part is not None:
            return self.parts[part](self.encoder, x)
        h = self.encoder(x)
        return h if self.head is None else self.head(h)
