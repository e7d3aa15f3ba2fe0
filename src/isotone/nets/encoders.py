"""Encoders by name: seven of our own making, and every model of timm.

- `small-cnn`: four strided 3 x 3 convolutions for images of 32 to 96 pixels, quick on a CPU. Its last map is pooled to
  2 x 2, not to 1 x 1, so that where something is (an angle, a position) reaches the representation directly.
- `resnet18`: timm's, which is torchvision's and the published Rank-N-Contrast encoder: 7 x 7 stem, 512 features.
- `resnet18-small`: the same with a 3 x 3 stem and no max-pooling, for images of 32 to 64 pixels.
- `mlp`: three hidden layers for rows of numbers.
- `cnn-1d`: four strided 1-d convolutions for signals, pooled to 4 steps (`isotone.nets.signals`).
- `resnet-1d`: ResNet-18 in one dimension, averaged over time (`isotone.nets.resnet1d`).
- `eegnet`: 1,440 weights for 21 channels, filters in time and then across channels (`isotone.nets.eegnet`).
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone.errors import ConfigError, nearest
from isotone.nets import eegnet, resnet1d
from isotone.nets.norms import NORMS, has_batch_norm, with_norm
from isotone.nets.signals import CNN1d
from isotone.nets.timm_import import import_timm
from isotone.randomness import key
from isotone.records import Kind

SMALL_CNN_WIDTHS = (32, 64, 128, 128)
MLP_WIDTHS = (256, 256, 256)
OWN = ("small-cnn", "resnet18", "resnet18-small", "mlp", "cnn-1d", "resnet-1d", "eegnet")
SIGNAL: dict[str, Callable[[int], nn.Module]] = {  # of the number of channels
    "cnn-1d": CNN1d,
    "resnet-1d": resnet1d.ResNet1d,
    "eegnet": eegnet.EEGNet,
}
_LEAST = {"resnet-1d": resnet1d.LEAST, "eegnet": eegnet.LEAST}  # samples in a window
_TAKES: dict[Kind, tuple[str, str, str]] = {  # what it is, what takes it, the shape of a view
    "image": ("images", "small-cnn or resnet18", "(channels, height, width)"),
    "rows": ("rows of numbers", "mlp", "(features,)"),
    "signal": ("signals", "cnn-1d, resnet-1d or eegnet", "(channels, samples)"),
}


def build_encoder(
    name: str,
    *,
    kind: Kind,
    shape: Sequence[int],
    norm: str = "batch",
    pretrained: bool = False,
    weights: str | None = None,
    seed: int = 0,
) -> tuple[nn.Module, int]:
    """Return an encoder and the width of its representation; its first weights depend on `seed` alone.

    Args:
        name: one of `OWN`, or any model of timm.
        kind: what the data are: timm's models are for images, `mlp` for rows, `cnn-1d`, `resnet-1d` and `eegnet` for
            signals.
        shape: of one view: (c, h, w), (f,) or (c, t).
        norm: `batch`; or `group` or `channel`, which replace batch norm so that no sample's result depends on its
            batch, with `channel` no place's on another (`isotone.nets.norms`).
        pretrained: start from timm's published weights; needs network or timm's cache. Normalise the views with
            `pretrained_statistics`.
        weights: a safetensors file of the encoder's weights; timm's files fit, their classifier is left out. To write
            one: `save_file({name: x.contiguous() for name, x in encoder.state_dict().items()}, path)`.
        seed: of the run.

    Returns:
        The module, in training mode, that maps (b, c, h, w), (b, f) or (b, c, t) to (b, d); and d.

    Raises:
        ConfigError: the name is unknown, does not fit the kind of data or the shape (a window too short), there are no
            published weights or they cannot be fetched, or the file does not hold exactly this encoder's weights.

    Example:
        >>> encoder, width = build_encoder("small-cnn", kind="image", shape=(3, 32, 32))
        >>> encoder(torch.rand(2, 3, 32, 32)).shape, width
        (torch.Size([2, 512]), 512)
    """
    _check_kind(name, kind, shape)
    if norm not in NORMS:
        raise ConfigError(f"Unknown norm {norm!r}.{nearest(norm, NORMS)} Known: {', '.join(NORMS)}.")
    if pretrained and weights is not None:
        raise ConfigError("Expected `pretrained` or `weights`, got both. Leave one out.")
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which would also reseed every accelerator
        torch.default_generator.manual_seed(key("weights", seed))
        encoder = _create(name, tuple(shape), pretrained)
    if norm != "batch":
        if pretrained and has_batch_norm(encoder):
            raise ConfigError(
                f"The published weights of {name!r} rest on batch norm, but norm is {norm!r}. Use norm 'batch'."
            )
        encoder = with_norm(encoder, norm)
    if weights is not None:
        _load(encoder, name, Path(weights))
    return encoder, _width(encoder, name, kind, tuple(shape))


def pretrained_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation that timm's published weights of this model expect of their images.

    Raises:
        ConfigError: the model has no published weights.

    Example:
        >>> pretrained_statistics("resnet18")
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    """
    ours = name in OWN and name != "resnet18"
    published = None if ours else import_timm().get_pretrained_cfg(name)
    if published is None:
        raise ConfigError(f"There are no published weights of {name!r}. Use `weights` with a file, or another encoder.")
    return tuple(published.mean), tuple(published.std)


class SmallCNN(nn.Module):
    """Four 3 x 3 convolutions of stride 2 (32, 64, 128, 128 channels), each with norm and ReLU, pooled to 2 x 2.

    On digits rotated by up to 60 degrees (32 px, 1,300 rows, 25 epochs, L1, the better of two learning rates, one seed,
    so gaps of 0.2 are noise) this form had a test error of 1.45 degrees;
    with 256 channels pooled to one 1.60, keeping a 4 x 4 map 2.20, one more fully connected layer 1.43.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stages = nn.Sequential()
        for before, after in zip((channels, *SMALL_CNN_WIDTHS), SMALL_CNN_WIDTHS, strict=False):
            convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            self.stages.append(nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)))
        self.pool = nn.AdaptiveAvgPool2d(2)
        # a step on a CPU takes 0.7 of the time; torch documents this form of `to`, its types lack it
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 512"]:
        """Return the representations, 128 channels of a 2 x 2 map."""
        return self.pool(self.stages(images)).flatten(1)


class MLP(nn.Module):
    """Three layers of 256, each linear, norm, ReLU.

    Args:
        features: of a row.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for before, after in zip((features, *MLP_WIDTHS), MLP_WIDTHS, strict=False):
            linear = nn.Linear(before, after, bias=False)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            self.layers.append(nn.Sequential(linear, nn.BatchNorm1d(after), nn.ReLU(inplace=True)))

    def forward(self, rows: Float[Tensor, "b f"]) -> Float[Tensor, "b 256"]:
        """Return the representations."""
        return self.layers(rows)


# ----------------------------------------------------------------------------------------------------------------------


def _check_kind(name: str, kind: Kind, shape: Sequence[int]) -> None:
    if name not in OWN:
        timm = import_timm()
        models: list[str] = timm.list_models()
        if name not in models and name not in timm.list_pretrained():  # the second with a tag, as in resnet18.a1_in1k
            raise ConfigError(
                f"Unknown encoder {name!r}.{nearest(name, [*OWN, *models])} Known: {', '.join(OWN)}, any model of timm."
            )
    words, use, expected = _TAKES[kind]
    takes: dict[str, Kind] = {"mlp": "rows", **dict.fromkeys(SIGNAL, "signal")}
    if takes.get(name, "image") != kind:
        raise ConfigError(f"The encoder {name!r} does not take {words}, which the data are. Use {use}.")
    if len(shape) != {"image": 3, "rows": 1, "signal": 2}[kind]:
        raise ConfigError(f"Expected the shape {expected} of one view, got {tuple(shape)}. Leave out the batch.")
    least = _LEAST.get(name, 0)
    if least > shape[-1]:
        raise ConfigError(
            f"The encoder {name!r} needs windows of at least {least} samples, but these have {shape[-1]}. Use longer "
            "windows or another encoder: cnn-1d takes 16 samples."
        )


def _create(name: str, shape: tuple[int, ...], pretrained: bool) -> nn.Module:
    if pretrained:
        pretrained_statistics(name)
    if name == "small-cnn":
        return SmallCNN(shape[0])
    if name == "mlp":
        return MLP(shape[0])
    if name in SIGNAL:
        return SIGNAL[name](shape[0])
    if name == "resnet18-small":
        encoder = _timm("resnet18", shape, False)
        encoder.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(encoder.conv1.weight, mode="fan_out", nonlinearity="relu")
        encoder.maxpool = nn.Identity()
        return encoder
    return _timm(name, shape, pretrained)


def _timm(name: str, shape: tuple[int, ...], pretrained: bool) -> nn.Module:
    timm = import_timm()
    extra: dict[str, object] = {}
    if name == "resnet18":
        extra["zero_init_last"] = False  # torchvision's default, with which the published results were made
    published = timm.get_pretrained_cfg(name)
    if published is not None and published.fixed_input_size:
        extra["img_size"] = shape[1:]
    create: Callable[..., nn.Module] = timm.create_model
    try:
        return create(name, num_classes=0, in_chans=shape[0], pretrained=pretrained, **extra)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        what = "fetch the published weights of" if pretrained else "build"
        fix = "Give a file with `weights`." if pretrained else "Use another encoder or image size."
        raise ConfigError(f"timm could not {what} {name!r} for views {shape}: {_first_line(error)} {fix}") from error


def _width(encoder: nn.Module, name: str, kind: Kind, shape: tuple[int, ...]) -> int:
    """Return the output width, by one clean pass over zeros, which also shows whether the shape fits at all."""
    encoder.eval()
    try:
        with torch.no_grad():  # inference mode would leave cached tensors that cannot be trained with
            out = encoder(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        use = "longer windows" if kind == "signal" else "another image size"
        raise ConfigError(
            f"The encoder {name!r} does not take views of shape {shape}: {_first_line(error)} Use {use}."
        ) from error
    encoder.train()
    if out.ndim != 2:
        raise ConfigError(
            f"Expected one vector for each image from {name!r}, got {tuple(out.shape)}. Use another encoder."
        )
    return int(out.shape[1])


def _load(encoder: nn.Module, name: str, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise ConfigError(f"Expected a safetensors file of weights, but {str(path)!r} is not a file. Check `weights`.")
    try:
        saved = load_file(path)
    except SafetensorError as error:
        raise ConfigError(f"{str(path)!r} is not a safetensors file: {_first_line(error)} Check `weights`.") from error
    classifier = getattr(encoder, "pretrained_cfg", {}).get("classifier") or ()
    classifiers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    own = encoder.state_dict()
    saved = {k: x for k, x in saved.items() if k in own or k.rpartition(".")[0] not in classifiers}
    wrong = [f"{k} is missing" for k in own if k not in saved and not k.endswith("num_batches_tracked")]
    wrong += [f"{k} is not the encoder's" for k in saved if k not in own]
    wrong += [
        f"{k} is {tuple(x.shape)}, expected {tuple(own[k].shape)}"
        for k, x in saved.items()
        if k in own and x.shape != own[k].shape
    ]
    if wrong:
        shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise ConfigError(
            f"The weights in {str(path)!r} are not those of the encoder {name!r}: {shown}. "
            "Name the encoder, channels and norm that they were made with."
        )
    encoder.load_state_dict(saved, strict=False)


def _first_line(error: BaseException) -> str:
    text = inspect.cleandoc(str(error)).splitlines()
    return text[0].rstrip(".") + "." if text else f"{type(error).__name__}."
