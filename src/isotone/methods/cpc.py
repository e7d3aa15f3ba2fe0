"""CPC: from the context of what came, tell the local features of what comes from those of elsewhere.

Where this differs from the paper: an image's context is a GRU down each column of patches, not a PixelCNN, which also
sees the patches to the left and all rows above. So signals and images are one method, a few lines long, and the context
costs next to nothing beside the encoder; the paper does not say how much the wider view is worth.

Source: van den Oord, Li, Vinyals 2018, arXiv 1807.03748; audio: section 3.1; images: section 3.2.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import pad

from isotone import check
from isotone.candidates import gather
from isotone.core.kernels.lse_rows import log_sum_exp_rows
from isotone.data.draws import sample_draws
from isotone.errors import ConfigError
from isotone.nets.context import Context, local_features
from isotone.nets.network import Network
from isotone.nets.patch_heads import check_takes_patches
from isotone.predict import Head
from isotone.randomness import generator
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags

ROWS_BELOW = 5  # the paper predicts up to five rows of patches below
SMALLEST_PATCH = 8  # pixels


@dataclass(frozen=True)
class CPC:
    """Predicts the later pieces of a signal or an image from those before, against pieces of the whole batch.

    `L = mean over k and t of -log( f_k(z_{t+k}, c_t) / sum_j f_k(z_j, c_t) )`, `f_k(z, c) = exp(z' W_k c)`.

    The negatives z_j are the pieces that step k could have been, of the same sample and of all others: the paper's
    default, which reads phones at 64.6 %, and at 57.3 % without the sample's own. Afterwards the encoder alone is used,
    on whole signals and images. For signals it needs local features (`frames`), as cnn-1d has; for images it is given
    patches, so it must take smaller images than those it is used on. Batch norm mixes the pieces of a batch, and the
    paper has none for images: use --norm group there, which normalises each patch alone. A signal it normalises whole,
    so that each frame knows the mean and variance of what is to be predicted: use --norm channel, frame by frame, as
    the public audio code does.

    Args:
        steps: how many steps ahead are predicted, the paper's 12; at most the frames less one, of images at most 5.
        grid: patches along each side of an image, overlapping by half; the paper's 7. Not used for signals.
        hidden: width of the context; the paper's 256.
        candidates: pieces of the batch, drawn anew at each step, that a prediction is compared with at most; all of
            them would cost the square of batch size and length.
        views: augmented copies of each sample in a batch; each is a sample of its own here.
        head: predictor on the frozen encoder: auto, l1, mse, huber, dex, dldl, or, corn, knn or classify.
    """

    steps: int = 12
    grid: int = 7
    hidden: int = 256
    candidates: int = 256
    views: int = 1
    head: Head = "auto"

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.2
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("signal", "image")

    def __post_init__(self) -> None:
        check.between("steps", self.steps, 1, 1000)
        check.between("grid", self.grid, 2, 32)
        check.between("hidden", self.hidden, 1, 65_536)
        check.between("candidates", self.candidates, 2, 1_000_000)
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with the context as its part `context`."""
        pieces, width = self._layout(encoder, facts)
        if pieces < 2:
            raise ConfigError(
                f"CPC predicts later frames from earlier ones, but the encoder makes {pieces} of the "
                f"{facts.shape[-1]} samples of a window. Use longer windows."
            )
        steps = min(self.steps, pieces - 1, ROWS_BELOW if facts.kind == "image" else self.steps)
        return Network(encoder, parts={"context": Context(width, steps, self.hidden, facts.seed)})

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the mean of the InfoNCE of each step ahead, over all views in all processes."""
        del memory
        v, b = batch.views.shape[:2]
        found = net(self._pieces(batch), "context").unflatten(0, (v, b))  # (v, b, g, s, 1 + K, w)
        found = gather(found.transpose(0, 1)).flatten(0, 2)  # (all sequences, s, 1 + K, w)
        z, steps = found[:, :, 0], found.shape[2] - 1
        each = {
            f"step_{k}": self._info_nce(found[:, :-k, k].flatten(0, 1), z[:, k:].flatten(0, 1), batch, k)
            for k in range(1, steps + 1)
        }
        total = torch.stack(list(each.values())).mean()
        return LossOutput(total, {name: value.detach() for name, value in each.items()})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: there is no score of single rows."""
        del out, tags
        return float("nan")

    def _info_nce(
        self, predicted: Float[Tensor, "n w"], z: Float[Tensor, "n w"], batch: Batch, k: int
    ) -> Float[Tensor, ""]:
        """Tell row i of z from the other rows by the prediction in row i; of many rows, from a draw of them."""
        a, z = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (predicted, z))
        drawn = torch.randperm(len(z), generator=generator("cpc candidates", batch.seed, batch.step, k))
        drawn = drawn[: self.candidates].to(z.device)
        own = drawn.new_full((len(z),), -1).scatter_(0, drawn, torch.arange(len(drawn), device=z.device))
        positive = (a * z).sum(1, keepdim=True)  # (n, 1)
        weight = a.new_full((len(a),), 1 / len(a))
        among, aside = (own >= 0).nonzero().flatten(), (own < 0).nonzero().flatten()
        total = log_sum_exp_rows(a[among], z[drawn], weight[among], own=own[among], more=positive[among])
        if len(aside):
            total = total + log_sum_exp_rows(a[aside], z[drawn], weight[aside], more=positive[aside])
        return (total - positive.mean(dtype=total.dtype)).to(a.dtype)

    def _pieces(self, batch: Batch) -> Shaped[Tensor, "n *shape"]:
        """Return the rows for the network: signals as they are, images cut into patches."""
        x = batch.views.flatten(0, 1)
        if x.dim() == 3:
            return x
        v, b, g = *batch.views.shape[:2], self.grid
        drawn = sample_draws(batch, v * 2 * g * g, "cpc patches")
        return _patches(x, drawn.view(b, v, 2, g, g).transpose(0, 1).flatten(0, 1))

    def _layout(self, encoder: nn.Module, facts: Facts) -> tuple[int, int]:
        """Return how many pieces a sequence has and the width of their features, with an encoder that gives them."""
        if facts.kind == "image":
            size = _patch_size(facts.shape, self.grid)
            if size < SMALLEST_PATCH:
                raise ConfigError(
                    f"CPC cuts images into {self.grid} x {self.grid} patches of {SMALLEST_PATCH} pixels or more, but "
                    f"images of {min(facts.shape[1:])} pixels give patches of {size}. Use a larger --image-size or a "
                    "smaller --grid."
                )
            check_takes_patches(encoder, facts.shape[0], size)
            return self.grid, facts.width
        training = encoder.training
        encoder.eval()
        with torch.no_grad():
            frames = local_features(encoder, torch.zeros(1, *facts.shape))
        encoder.train(training)
        return frames.shape[2], frames.shape[3]


# ----------------------------------------------------------------------------------------------------------------------


def _patch_size(shape: tuple[int, ...], grid: int) -> int:
    """Return the side of patches of which `grid`, overlapping by half, fit into the shorter side of (c, h, w)."""
    return 2 * (min(shape[1:]) // (grid + 1))


def _patches(images: Float[Tensor, "n c h w"], drawn: Float[Tensor, "n 2 g g"]) -> Float[Tensor, "n g g c p p"]:
    """Cut out the patches by column and row, each shifted within its cell by a draw and framed with zeros.

    The frame (the paper's 60 of 64 pixels, moved at random) keeps a prediction from matching the pixels that two
    patches share. Each process and every number of workers draws the same.
    """
    n, g = len(images), drawn.shape[-1]
    size = _patch_size(tuple(images.shape[1:]), g)
    frame = max(1, size // 32)
    kept, start = torch.arange(size - 2 * frame, device=images.device), torch.arange(g, device=images.device)
    corner = [(side - (g + 1) * size // 2) // 2 for side in images.shape[2:]]
    shift = (drawn * (2 * frame + 1)).long()  # 0 ... 2 * frame
    top = corner[0] + start[:, None] * size // 2 + shift[:, 0]  # (n, rows, columns)
    left = corner[1] + start[None, :] * size // 2 + shift[:, 1]
    y, x = top[..., None] + kept, left[..., None] + kept  # (n, rows, columns, q)
    sample = torch.arange(n, device=images.device).view(n, 1, 1, 1, 1)
    found = images[sample, :, y[..., :, None], x[..., None, :]]  # (n, rows, columns, q, q, c)
    return pad(found.movedim(-1, 3), (frame,) * 4).transpose(1, 2)
