"""A probe on each stage of the encoder: the curve that shows where a pretext task specialises.

A stage's map is average-pooled to about 9,000 numbers, so that every stage is read by a probe of about the same size. A
representation that serves other tasks scores best at its end; one that has specialised on its own task, before it.

Source: Goyal et al. 2019, arXiv 1905.01235, section 4; pooled sizes as there, for a ResNet-50.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone.evaluate.linear import logistic, ridge
from isotone.evaluate.probe import ProbeResult
from isotone.evaluate.subject import Answers, Subject, result_row

MOST = 9216  # numbers of a pooled map: 64 * 12², 256 * 6², 1024 * 3²
ROWS = {"classes": 5000, "numbers": 3000}  # training rows: what a core fits in about a minute at 9,216 numbers
PENALTIES = tuple(np.logspace(1, -2, 4).tolist())
MAX_ITER = 100
MEMORY = 2**28  # numbers held at once, 1 GiB: more stages than fit are computed in a further pass


@dataclass(frozen=True)
class Stage:
    """A place in the encoder whose output is probed.

    Args:
        name: of the module, as in `encoder.named_modules()`; empty for the encoder's own output.
        channels: of its map.
        size: sides of its map, (h, w) or (t,); () for a vector.
    """

    name: str
    channels: int
    size: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """The sides of the pooled map."""
        side = pooled_side(self.channels, len(self.size))
        return tuple(min(side, have) for have in self.size)

    @property
    def width(self) -> int:
        """Numbers of the pooled map."""
        return self.channels * int(np.prod(self.grid))


def layers(subject: Subject) -> list[dict[str, Any]]:
    """Score a linear probe, logistic regression or ridge, on each stage of the encoder and on its representation.

    Args:
        subject: encoder and rows with answers. At most 5,000 training rows of classes (3,000 of numbers) and a fifth
            as many for validation are used, drawn by the seed; a note says so.

    Returns:
        For each column of answers a line a stage, in order: as `result_row`, with `stage` (its name), `stage_index`,
        `map` (channels and sides before pooling) and `width` (numbers after it). The last one is `representation`.
        Logistic regression has four penalties, 10 to 0.01, and at most 100 steps, in float32.

    Raises:
        ShapeError: a side of the split that the probe needs has no rows.

    Source: as at the top of this file.
    """
    found = stages_of(subject.encoder, torch.zeros(1, *subject.shape, device=subject.device))
    kept = [_few(one, subject.seed) for one in subject.answers]
    rows = np.unique(np.concatenate([one.rows for one, _ in kept]))
    lines: dict[tuple[int, int], dict[str, Any]] = {}
    for group in _passes(found, len(rows)):
        h = subject.embed(rows, _Tap(subject.encoder, [found[i] for i in group]))
        for i, part in zip(group, np.split(h, np.cumsum([found[i].width for i in group])[:-1], axis=1), strict=True):
            for column, (one, notes) in enumerate(kept):
                result, stage = _probe(one, part[np.searchsorted(rows, one.rows)]), found[i]
                said = [note.removesuffix(": raise max_iter") for note in result.notes]
                lines[column, i] = result_row(one, result, seed=subject.seed) | {
                    "probe": "layers",
                    "stage": stage.name or "representation",
                    "stage_index": i,
                    "map": [stage.channels, *stage.size],
                    "width": stage.width,
                    "notes": [*notes, *said] if i == 0 else said,
                }
    return [lines[place] for place in sorted(lines)]


def pooled_side(channels: int, axes: int = 2, *, most: int = MOST) -> int:
    """Return the side g of the pooled map, the largest with channels * g^axes not above `most`; at least 1.

    Args:
        channels: >= 1.
        axes: sides of the map that are pooled: 2 for images, 1 for signals.
        most: numbers that the pooled map may have.

    Example:
        >>> [channels * pooled_side(channels) ** 2 for channels in (64, 256, 512, 1024, 2048)]  # of a ResNet-50
        [9216, 9216, 8192, 9216, 8192]
    """
    side = 1
    while channels * (side + 1) ** axes <= most and axes:
        side += 1
    return side


def stages_of(encoder: nn.Module, view: Float[Tensor, "1 *shape"]) -> list[Stage]:
    """Return the stages of an encoder in the order in which they run, its own output last.

    Those are: what timm names in the model's `feature_info`; else the children of its `stages` (small-cnn) or `layers`
    (mlp); else its direct children. Of these, all that give maps, (b, c, h, w), (b, c, t) or for images tokens
    (b, t, c), and for encoders of rows vectors; a map of a single place is left out: it is the representation.

    Args:
        encoder: in eval mode; left as it is.
        view: one clean view.

    Example:
        >>> from isotone.nets.encoders import SmallCNN
        >>> [(s.name, s.width) for s in stages_of(SmallCNN(3).eval(), torch.zeros(1, 3, 32, 32))][-2:]
        [('stages.3', 512), ('', 512)]
    """
    seen: dict[str, Stage] = {}

    def look(name: str, out: object) -> None:
        if isinstance(out, Tensor) and 2 <= out.ndim <= 4 and len(out) == len(view):
            axes = _channels_first(out, encoder, view.ndim).shape
            if view.ndim == 2 or int(np.prod(axes[2:])) > 1:
                seen[name] = Stage(name, axes[1], tuple(axes[2:]))

    with torch.no_grad():
        h = _watched(encoder, view, {name: (lambda out, name=name: look(name, out)) for name in _names(encoder)})
    return [*seen.values(), Stage("", h.shape[1], ())]


def stage_map(encoder: nn.Module, stage: Stage, views: Shaped[Tensor, "b *shape"]) -> Shaped[Tensor, "b c *size"]:
    """Return what a stage gives for these views, channels first.

    Args:
        encoder: of the stage.
        stage: of `stages_of`.
        views: of any size that the encoder takes.
    """
    return _maps(encoder, [stage], views, ())[0]


# ----------------------------------------------------------------------------------------------------------------------


class _Tap(nn.Module):
    """Gives the pooled maps of some stages, flattened, one after another, in place of the encoder's output."""

    def __init__(self, encoder: nn.Module, stages: Sequence[Stage]) -> None:
        super().__init__()
        self.encoder, self.stages = encoder, stages
        self.eval()  # as the encoder is: `forward` leaves a network in the mode in which it came

    def forward(self, views: Shaped[Tensor, "b *shape"]) -> Float[Tensor, "b d"]:
        grids = [stage.grid for stage in self.stages]
        return torch.cat([x.flatten(1).float() for x in _maps(self.encoder, self.stages, views, grids)], dim=1)


def _maps(encoder: nn.Module, stages: Sequence[Stage], views: Tensor, grids: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Return each stage's map, pooled where there are grids."""
    kept: dict[str, Tensor] = {}

    def keep(i: int, out: Tensor) -> None:  # pooled now: a later module may write into its input
        x = _channels_first(out, encoder, views.ndim)
        kept[stages[i].name] = _pooled(x, grids[i]) if grids and grids[i] else x.clone()

    watch = {stage.name: (lambda out, i=i: keep(i, out)) for i, stage in enumerate(stages) if stage.name}
    h = _watched(encoder, views, watch)
    return [kept[stage.name] if stage.name else h for stage in stages]


def _pooled(x: Tensor, grid: tuple[int, ...]) -> Tensor:
    return nn.functional.adaptive_avg_pool2d(x, grid) if len(grid) == 2 else nn.functional.adaptive_avg_pool1d(x, grid)


def _watched(encoder: nn.Module, views: Tensor, watch: dict[str, Any]) -> Tensor:
    """Run the encoder and hand the output of each named module to its watcher."""
    hooks = [
        encoder.get_submodule(name).register_forward_hook(lambda _module, _args, out, see=see: see(out))
        for name, see in watch.items()
    ]
    try:
        return encoder(views)
    finally:
        for hook in hooks:
            hook.remove()


def _names(encoder: nn.Module) -> list[str]:
    modules = dict(encoder.named_modules())
    listed = [info["module"] for info in getattr(encoder, "feature_info", [])]
    for holder in ("stages", "layers"):
        inner = modules.get(holder)
        listed = listed or [f"{holder}.{name}" for name, _ in (inner.named_children() if inner is not None else ())]
    listed = listed or [name for name, _ in encoder.named_children()]
    return [name for name in listed if name in modules]


def _channels_first(out: Tensor, encoder: nn.Module, axes: int) -> Tensor:
    """Return a map as (b, c, ...), tokens of an image (b, t, c) as (b, c, t)."""
    if out.ndim == 4 and getattr(encoder, "output_fmt", "NCHW") == "NHWC":
        return out.permute(0, 3, 1, 2)
    return out.transpose(1, 2) if out.ndim == 3 and axes == 4 else out


def _few(one: Answers, seed: int) -> tuple[Answers, list[str]]:
    most = ROWS[one.told]
    few = one.fewer(most, most // 5, seed=seed)
    if len(few.train) == len(one.train) and len(few.val) == len(one.val):
        return one, []
    return few, [f"fitted on {len(few.train)} of {len(one.train)} training rows, drawn by the seed"]


def _passes(stages: Sequence[Stage], rows: int) -> list[list[int]]:
    """Cut the stages into passes through the encoder so that what each pass keeps fits in memory."""
    passes: list[list[int]] = []
    held = MEMORY
    for i, stage in enumerate(stages):
        if held + rows * stage.width > MEMORY:
            passes.append([])
            held = 0
        passes[-1].append(i)
        held += rows * stage.width
    return passes


def _probe(one: Answers, h: np.ndarray) -> ProbeResult:
    if one.told == "numbers":
        return ridge(one.data(h))
    return logistic(one.data(h), penalties=PENALTIES, max_iter=MAX_ITER, dtype=np.float32)
