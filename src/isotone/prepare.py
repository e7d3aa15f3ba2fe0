"""From settings and a data set to an untrained run: whatever is wrong shows here, before there is a folder."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from isotone.data.partners import Partners, neighbour_views, second_views
from isotone.data.views import Views, feature_statistics
from isotone.errors import ConfigError
from isotone.evaluate.coverage import check_interval
from isotone.evaluate.stage_two import check_scheme
from isotone.export.saved import Model
from isotone.export.teacher import load_teacher, taught
from isotone.folder import existing
from isotone.methods.needs import check_views, suited
from isotone.nets.encoders import build_encoder, pretrained_statistics
from isotone.nets.network import Network
from isotone.nets.norms import with_norm
from isotone.predict import task_of
from isotone.predict.scaling import Scaling
from isotone.randomness import key
from isotone.records import Dataset, Facts, Kind, Method, Teacher
from isotone.relations.geometry import period_of
from isotone.settings import Settings
from isotone.train.halving import fewest_rows
from isotone.train.loop import training_rows


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run that can be refused no more, before there is a folder.

    Args:
        settings: of the run, the head resolved.
        dataset: decoded and split.
        model: untrained; its head comes last.
        net: what the method built around the model's encoder.
        memory: what the method remembers between steps, or None.
        partners: views of what each row is paired with, or None.
    """

    settings: Settings
    dataset: Dataset
    model: Model
    net: Network
    memory: nn.Module | None
    partners: Partners | None


def build(settings: Settings, dataset: Dataset, custom: nn.Module | None, device: torch.device) -> Prepared:
    """Return the untrained run, so that what is wrong with settings and data shows before a folder is made.

    Args:
        settings: of the run.
        dataset: decoded and split.
        custom: the user's own encoder, or None to build the one that the settings name.
        device: where a teacher is asked, and partners are made, where the method has them.

    Raises:
        ConfigError: method, head, scheme, encoder, its weights, views or teacher do not fit the data or each other.
        DataError: no row has a neighbour in time, where the method pairs neighbours.
    """
    settings = replace(settings, method=suited(_placed(settings.method), dataset))
    method, norm, seed = settings.method, settings.net.norm, settings.train.seed
    shape = _shape(settings, dataset.inputs, dataset.kind)
    name = "custom" if custom is not None else _encoder_name(settings.net.encoder, dataset.kind, shape)
    views = _views(settings, dataset.inputs, dataset.kind, dataset.rows("train"), shape, name)
    check_views(dataset, views.augment)
    encoder, width = _encoder(settings, name, dataset.kind, shape) if custom is None else _custom(custom, shape, norm)
    fewest_rows(encoder, settings.train.micro_batch)  # refuses too few
    check_interval(dataset, settings.head.interval)
    scaling = _scaling(dataset, settings.head.head_bins)
    rows = training_rows(method, dataset)
    facts = Facts(
        width=width,
        kind=dataset.kind,
        shape=shape,
        k=len(scaling.mean),
        classes=len(dataset.classes),
        instances=len(rows),
        seed=seed,
        bins=scaling.bins,
        second=_second(settings, dataset) if "second" in method.needs else None,
        teacher=_teacher(settings, dataset, shape, device) if "teacher" in method.needs else None,
        targets=scaling.standardise(dataset.target[rows]) if dataset.target_names else None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key("net", seed))
        built = method.build(encoder, facts)
        memory = method.memory(built, facts)
    assert isinstance(built, Network), "every method builds a Network"
    head = "none" if task_of(dataset) == "none" else method.head
    check_scheme(settings.head, settings.name, head, own_head=built.head is not None)
    model = Model(
        encoder,
        None,
        views,
        scaling,
        head,
        name,
        norm,
        dataset.kind,
        shape,
        dataset.target_names,
        dataset.classes,
        dataset.category_name,
    )
    return Prepared(settings, dataset, model, built, memory, _partners(settings, dataset, views, device))


# ----------------------------------------------------------------------------------------------------------------------


def _shape(settings: Settings, inputs: np.ndarray, kind: Kind) -> tuple[int, ...]:
    """Return the shape of one view: the square that the encoder sees of an image, else the whole sample."""
    if kind != "image":
        return tuple(inputs.shape[1:])
    h, w, c = inputs.shape[1:]
    if h != w:
        raise ConfigError(f"image arrays must be square, got {h} x {w} pixels. Pad or crop them to one side.")
    size = min(settings.data.image_size, h)  # tables are stored at least as large
    return c, size, size


def _encoder_name(name: str, kind: Kind, shape: tuple[int, ...]) -> str:
    if name != "auto":
        return name
    if kind != "image":
        return "mlp" if kind == "rows" else "cnn-1d"
    return "small-cnn" if shape[1] <= 96 else "resnet18"


def _encoder(settings: Settings, name: str, kind: Kind, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    net, seed = settings.net, settings.train.seed
    return build_encoder(
        name, kind=kind, shape=shape, norm=net.norm, pretrained=net.pretrained, weights=net.weights, seed=seed
    )


def _custom(encoder: nn.Module, shape: tuple[int, ...], norm: str) -> tuple[nn.Module, int]:
    encoder = with_norm(encoder, norm)
    training = encoder.training
    with torch.no_grad():
        h = encoder.eval()(torch.zeros(2, *shape))
    encoder.train(training)
    if h.dim() != 2 or h.shape[0] != 2:
        raise ConfigError(
            f"your encoder must map (2, {', '.join(map(str, shape))}) to (2, width), it gave {tuple(h.shape)}. "
            "Pool and flatten at its end."
        )
    return encoder, h.shape[1]


def _views(
    settings: Settings, inputs: np.ndarray, kind: Kind, train: np.ndarray, shape: tuple[int, ...], encoder: str
) -> Views:
    seed, augment = settings.train.seed, settings.net.augment
    if kind != "image":
        mean, std = feature_statistics(inputs[train])
        return Views(kind, 0, augment, seed, mean, std)
    mean, std = (0.5,) * shape[0], (0.5,) * shape[0]  # as published for RnC
    if settings.net.pretrained and shape[0] == 3:
        mean, std = pretrained_statistics(encoder)
    return Views("image", shape[1], augment, seed, mean, std)


def _scaling(dataset: Dataset, bins: int) -> Scaling:
    rows = dataset.labelled("train") if dataset.target_names else dataset.rows("train")
    period = period_of(dataset.geometry) if dataset.target_names else None
    return Scaling.of(dataset.target[rows], bins=bins, period=period)


def _second(settings: Settings, dataset: Dataset) -> tuple[nn.Module, int]:
    """Return the encoder of the second input and its width: the one that `auto` takes for inputs of that kind."""
    second, kind = _second_inputs(dataset)
    shape = _shape(settings, second, kind)
    name, seed = _encoder_name("auto", kind, shape), key("second", settings.train.seed)
    return build_encoder(name, kind=kind, shape=shape, norm=settings.net.norm, seed=seed)


def _placed(method: Method) -> Method:
    """Write down where the teacher is, so that the run goes on from any folder."""
    named = str(getattr(method, "teacher", ""))
    place = {"teacher": str(Path(named).resolve())} if named else {}
    return replace(method, **place)  # pyright: ignore[reportArgumentType]


def _teacher(settings: Settings, dataset: Dataset, shape: tuple[int, ...], device: torch.device) -> Teacher:
    """Return what the run that the method names as its teacher says of the training rows."""
    named = str(getattr(settings.method, "teacher", ""))
    if not named:
        owner = type(settings.method).__name__
        raise ConfigError(f"{owner} needs a `teacher`, the folder of a finished run. Name it: --teacher RUN.")
    try:
        folder = existing(named)
    except ConfigError as error:
        raise ConfigError(f"the teacher {error}") from error
    model = load_teacher(folder, dataset.kind, shape)
    return taught(model, dataset, training_rows(settings.method, dataset), device)


def _partners(settings: Settings, dataset: Dataset, views: Views, device: torch.device) -> Partners | None:
    """Return what pairs each row with its neighbour in time or its second input, where the method needs one."""
    seed = settings.train.seed
    if "sequence" in settings.method.needs:
        return neighbour_views(dataset, views, settings.data.lag, seed, device)
    if "second" not in settings.method.needs:
        return None
    second, kind = _second_inputs(dataset)
    other = settings
    if kind != dataset.kind or settings.net.pretrained:  # what was named is for the first input
        augment = settings.net.augment if kind == dataset.kind else ("mild",)
        other = replace(settings, net=replace(settings.net, augment=augment, pretrained=False))
    own = _views(other, second, kind, dataset.rows("train"), _shape(settings, second, kind), "")
    return second_views(dataset, own, device, count=settings.method.views)


def _second_inputs(dataset: Dataset) -> tuple[np.ndarray, Kind]:
    assert dataset.second is not None, "`suited` has refused data without a second input"
    assert dataset.second_kind is not None, "a second input has a kind"
    return dataset.second, dataset.second_kind
