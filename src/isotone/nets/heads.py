"""Heads that a method puts on the encoder while it trains, and that are dropped afterwards."""

from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone import check
from isotone.core.similarity import unit
from isotone.randomness import key

Form = Literal["linear", "mlp"]


class Projection(nn.Module):
    """Map the representation to an embedding: `linear`, d -> out, or `mlp`, d -> hidden -> ReLU -> out.

    A part of a `Network`: its forward takes the encoder and the input. The first weights depend on `seed` alone.

    Args:
        width: of the representation, d.
        out: width of the embedding.
        form: `linear` (NPID, PIRL, MoCo v1) or `mlp` (SimCLR, SupCon, MoCo v2).
        hidden: of the mlp; None takes d, as the papers do.
        seed: of the run.
        normalise: bring the representation to length 1 first, as SupCon does.

    Raises:
        ConfigError: for widths below 1 and another form.

    Example:
        >>> Projection(16, 8)(nn.Flatten(), torch.zeros(5, 4, 4)).shape
        torch.Size([5, 8])

    Source: Chen et al. 2020, arXiv 2002.05709, section 2.1 (mlp); Wu et al. 2018, arXiv 1805.01978 (linear);
    Khosla et al. 2020, arXiv 2004.11362, section 3.1 (normalised).
    """

    def __init__(
        self,
        width: int,
        out: int,
        form: Form = "mlp",
        hidden: int | None = None,
        seed: int = 0,
        *,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        check.choice("form", form, ("linear", "mlp"))
        for name, value in (("width", width), ("out", out), ("hidden", width if hidden is None else hidden)):
            check.positive(name, value)
        self.normalise = normalise
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key("projection", seed))
            self.layers = nn.Sequential()
            if form == "mlp":
                self.layers.extend([nn.Linear(width, hidden or width), nn.ReLU(inplace=True)])
            self.layers.append(nn.Linear((hidden or width) if form == "mlp" else width, out))

    def forward(self, encoder: nn.Module, x: Shaped[Tensor, "b *shape"]) -> Float[Tensor, "b o"]:
        """Return the embeddings (b, out), not normalised."""
        h = encoder(x)
        return self.layers(unit(h).to(h.dtype) if self.normalise else h)
