"""Detection: the encoder as the backbone of torchvision's Faster R-CNN, on a folder in the layout of Pascal VOC.

The last stage that gives a map is the one feature map; frozen, or trained further with its batch norm as it is. The
rest (proposals, box head) is trained from scratch for some hundred steps, small enough for a CPU: it compares encoders,
it makes no detector to be used.

Source: Ren et al. 2015, arXiv 1506.01497; as a probe with batch norm kept fixed: Misra and van der Maaten 2020, arXiv
1912.01991, section 4.1.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone.data.loader import epoch_batches
from isotone.errors import ConfigError, DataError, DivergenceError
from isotone.evaluate.layers import Stage, stage_map, stages_of
from isotone.evaluate.subject import Subject, plain
from isotone.evaluate.voc import OVERLAP, Annotated, Found, average_precisions, read_voc
from isotone.nets.timm_import import import_timm
from isotone.randomness import key

STEPS = 500
BATCH = 4
LR = 0.02  # SGD, momentum 0.9, weight decay 1e-4; a tenth of it for the last quarter
SIDE = 240  # pixels of an image's shorter side
WARMUP = 50  # steps
ANCHORS = (1 / 12, 1 / 6, 1 / 3, 2 / 3)  # of the shorter side
CLIP = 10.0  # largest norm of the gradient
POOLED = 7  # sides of a box's pooled map
HIDDEN = 256  # of the box head's two layers


def detection(
    subject: Subject, folder: Path, *, trained: bool = False, steps: int = STEPS, lr: float = LR, side: int = SIDE
) -> list[dict[str, Any]]:
    """Train a detector on the encoder's last map and score it on the test images.

    Anchors have sides of 1/12, 1/6, 1/3 and 2/3 of the image's shorter side, in three shapes.

    Args:
        subject: its encoder must give maps, (b, c, h, w), for images of any size; a copy of it is used.
        folder: as `isotone.evaluate.voc.read_voc` reads it.
        trained: whether the copy is trained too, but for its batch norm, which stays as it is.
        steps: of 4 images.
        lr: of SGD.
        side: pixels of an image's shorter side; the longer one is at most twice that.

    Returns:
        One line: `score`, the mean average precision at overlap 0.5, without interval; `by_class` of each class.

    Raises:
        ConfigError: the encoder gives no map; the folder is no Pascal VOC folder.
        DataError: an annotation or an image cannot be read.

    Source: as at the top of this file.
    """
    stage = _last_map(subject)
    images = read_voc(folder, seed=subject.seed)
    train, test = ([one for one in images if one.side == name] for name in ("train", "test"))
    names = sorted({str(name) for one in train for name in one.names})
    devices = [subject.device] if subject.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), working_nms():
        torch.manual_seed(key("detection", subject.seed))
        model = _detector(subject, stage, len(names), trained, side).to(subject.device)
        _train(model, train, names, steps, lr, subject)
        found = [_detect(model, one, names, subject) for one in test]
    precisions = average_precisions(test, found)
    settings = {"encoder": "trained" if trained else "frozen", "stage": stage.name, "steps": steps, "lr": lr}
    row = {"probe": "detection", "target": folder.resolve().name, "split": "test", "n": len(test)}
    return [
        row
        | {
            "score": plain(float(np.mean([*precisions.values()]))),
            "score_name": "mean average precision",
            "higher_is_better": True,
            "settings": settings | {"pixels": side, "overlap": OVERLAP, "images": len(train)},
            "notes": [],
            "by_class": {name: plain(x) for name, x in precisions.items()},
        }
    ]


@contextmanager
def working_nms() -> Generator[None]:
    """Let torchvision drop overlapping boxes also where its compiled operators cannot be loaded, by `slow_nms`.

    Its registry wheel is built for CUDA and loads none of them beside a CPU-only torch. Where they work they are used.
    """
    import_timm()  # lets torchvision be imported without them
    from torchvision.ops import boxes

    try:
        boxes.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (RuntimeError, NotImplementedError, AttributeError):
        fast = boxes.nms
        boxes.nms = slow_nms
        try:
            yield
        finally:
            boxes.nms = fast
        return
    yield


def slow_nms(boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"], iou_threshold: float) -> Int[Tensor, " m"]:
    """Return the boxes that are kept, highest score first: each drops those after it that overlap it by more.

    Args:
        boxes: left, top, right, bottom.
        scores: larger is better.
        iou_threshold: intersection over union above which the lower box is dropped.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
        >>> slow_nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist()
        [1, 2]
    """
    order = scores.argsort(descending=True, stable=True)
    sorted_boxes = boxes[order]
    area = (sorted_boxes[:, 2:] - sorted_boxes[:, :2]).prod(dim=1)
    low = torch.maximum(sorted_boxes[:, None, :2], sorted_boxes[None, :, :2])
    high = torch.minimum(sorted_boxes[:, None, 2:], sorted_boxes[None, :, 2:])
    inner = (high - low).clamp(min=0).prod(dim=2)
    drops = (inner > iou_threshold * (area[:, None] + area - inner)).triu(1).cpu().numpy()
    kept = np.ones(len(boxes), dtype=bool)
    for i in range(len(boxes)):
        if kept[i]:
            kept &= ~drops[i]
    return order[torch.from_numpy(kept).to(order.device)]


class BoxPool(nn.Module):
    """Samples a map at 14 x 14 points of each box, bilinearly, averaged to 7 x 7: RoIAlign with 2 x 2 points a bin.

    torchvision's own falls back on `torch.compile`, half a minute of it, where its compiled operators are missing.

    Args:
        stride: image pixels for a place of the map.
        output_size: (7, 7), as torchvision's modules have it.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride, self.output_size = stride, (POOLED, POOLED)

    def forward(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> Float[Tensor, "k c 7 7"]:
        """Return the pooled maps of all boxes of all images."""
        del image_shapes
        maps = features["0"]
        return torch.cat([self._one(x[None], b) for x, b in zip(maps, boxes, strict=True)])

    def _one(self, x: Float[Tensor, "1 c h w"], boxes: Float[Tensor, "k 4"]) -> Float[Tensor, "k c 7 7"]:
        n = 2 * POOLED
        place = (torch.arange(n, device=x.device) + 0.5) / n
        low, high = boxes[:, None, :2], boxes[:, None, 2:]
        points = low + place[:, None] * (high - low)  # (k, 14, 2) along x and along y
        size = self.stride * torch.tensor([x.shape[3], x.shape[2]], device=x.device)
        across, down = (2 * points / size - 1).unbind(2)  # (k, 14)
        grid = torch.stack([across[:, None, :].expand(-1, n, -1), down[:, :, None].expand(-1, -1, n)], dim=3)
        grid = grid.reshape(1, -1, n, 2)
        sampled = nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)  # (1, c, k * 14, 14)
        return nn.functional.avg_pool2d(sampled[0].unflatten(1, (-1, n)).transpose(0, 1), 2)


# ----------------------------------------------------------------------------------------------------------------------


class _Backbone(nn.Module):
    """A copy of the encoder that gives one map; it is in eval mode whatever the detector's mode is."""

    def __init__(self, encoder: nn.Module, stage: Stage, trained: bool) -> None:
        super().__init__()
        self.encoder, self.stage, self.trained = copy.deepcopy(encoder).requires_grad_(trained), stage, trained
        self.out_channels = stage.channels

    def train(self, mode: bool = True) -> "_Backbone":
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: Float[Tensor, "b c h w"]) -> "OrderedDict[str, Tensor]":
        with torch.set_grad_enabled(self.trained and torch.is_grad_enabled()):
            return OrderedDict([("0", stage_map(self.encoder, self.stage, images))])


def _last_map(subject: Subject) -> Stage:
    view = torch.zeros(1, *subject.shape, device=subject.device)
    maps = [stage for stage in stages_of(subject.encoder, view) if len(stage.size) == 2] if view.ndim == 4 else []
    if not maps:
        raise ConfigError(
            "The probe 'detection' needs an encoder of images that gives maps, such as small-cnn or resnet18."
        )
    return maps[-1]


def _detector(subject: Subject, stage: Stage, classes: int, trained: bool, side: int) -> nn.Module:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.rpn import AnchorGenerator

    stride = round(subject.shape[1] / stage.size[0])
    c = subject.shape[0]
    mean, std = ([*numbers] * (c if len(numbers) == 1 else 1) for numbers in (subject.views.mean, subject.views.std))
    model = FasterRCNN(
        _Backbone(subject.encoder, stage, trained),
        box_head=TwoMLPHead(stage.channels * POOLED**2, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, classes + 1),  # the first is the background
        rpn_anchor_generator=AnchorGenerator((tuple(round(side * share) for share in ANCHORS),), ((0.5, 1.0, 2.0),)),
        min_size=side,
        max_size=2 * side,
        image_mean=mean,
        image_std=std,
        size_divisible=stride,
        rpn_pre_nms_top_n_train=500,
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_train=200,
        rpn_post_nms_top_n_test=200,
        box_batch_size_per_image=64,
    )
    model.roi_heads.box_roi_pool = BoxPool(stride)
    return model


def _train(
    model: nn.Module, images: list[Annotated], names: list[str], steps: int, lr: float, subject: Subject
) -> None:
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=lr, momentum=0.9, weight_decay=1e-4)
    model.train()
    for step, rows in enumerate(_batches(len(images), steps, subject.seed)):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / WARMUP) * (0.1 if step >= 0.75 * steps else 1.0)
        batch = [images[row] for row in rows]
        losses = model([_pixels(one, subject) for one in batch], [_target(one, names, subject.device) for one in batch])
        loss = torch.stack([*losses.values()]).sum()
        if not math.isfinite(float(loss.detach())):
            raise DivergenceError(
                f"the detector's loss is {float(loss.detach())} at step {step + 1} of {steps}. Lower --lr."
            )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()


def _batches(images: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    done, epoch = 0, 0
    while done < steps:
        for rows in epoch_batches(np.arange(images), BATCH, seed, epoch)[: steps - done]:
            yield rows
            done += 1
        epoch += 1


@torch.no_grad()
def _detect(model: nn.Module, one: Annotated, names: list[str], subject: Subject) -> Found:
    model.eval()
    told = {name: x.cpu().numpy() for name, x in model([_pixels(one, subject)])[0].items()}
    return Found(told["boxes"].astype(np.float64), np.array(names)[told["labels"] - 1], told["scores"])


def _pixels(one: Annotated, subject: Subject) -> Float[Tensor, "c h w"]:
    """Return an image in [0, 1], in colour or grey as the encoder takes it."""
    from PIL import Image

    try:
        with Image.open(one.image) as file:
            pixels = np.array(file.convert("L" if subject.shape[0] == 1 else "RGB"))
    except OSError as error:
        raise DataError(f"{one.image} cannot be read as an image ({error}). Repair it or leave it out.") from error
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).to(subject.device).permute(2, 0, 1).float() / 255


def _target(one: Annotated, names: list[str], device: torch.device) -> dict[str, Tensor]:
    labels = torch.tensor([1 + names.index(str(name)) for name in one.names], dtype=torch.int64, device=device)
    return {"boxes": torch.from_numpy(one.boxes).float().to(device), "labels": labels}
