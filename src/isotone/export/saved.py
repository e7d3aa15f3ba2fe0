"""The model of a finished run: encoder, head and all that turns raw inputs into numbers or classes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from safetensors.torch import load, save
from torch import Tensor, nn

from isotone.data.views import Views
from isotone.errors import CheckpointError, ConfigError
from isotone.nets.encoders import build_encoder
from isotone.nets.norms import with_norm
from isotone.predict import predictor
from isotone.predict.conformal import Calibration, Ends, widened
from isotone.predict.knn import Neighbours
from isotone.predict.quantile import Band
from isotone.predict.scaling import Scaling
from isotone.records import Kind
from isotone.train.checkpoint import read_folder, write_folder


@dataclass(frozen=True)
class Model:
    """A trained encoder and its head.

    Args:
        encoder: (b, ...) to (b, d).
        head: d inputs, o outputs, or the training rows that are asked (kNN); None where the run had no labels.
        views: makes the encoder's input of raw inputs.
        scaling: of the targets; of none (k = 0) where there are classes or no labels.
        head_name: predictor that decodes the head's outputs; `none` where there is no head.
        encoder_name: as `build_encoder` knows it, or `custom` for a module of the user's.
        norm: batch, group or channel.
        kind: image, rows or signal.
        shape: of one encoder input, (c, h, w), (f,) or (c, t).
        target_names: k names.
        classes: names of the classes that the head's outputs stand for; empty where it predicts numbers.
        category_name: what the classes are of, the column's name.
        calibration: what intervals around predicted numbers are made of; None where there are none.
        band: what intervals of the quantile form are made of; None where the run has none.
    """

    encoder: nn.Module
    head: nn.Linear | Neighbours | None
    views: Views
    scaling: Scaling
    head_name: str
    encoder_name: str
    norm: str
    kind: Kind
    shape: tuple[int, ...]
    target_names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    category_name: str | None = None
    calibration: Calibration | None = None
    band: Band | None = None

    @torch.no_grad()
    def embed(self, inputs: Shaped[np.ndarray, "n *shape"], *, chunk: int = 256) -> Float[np.ndarray, "n d"]:
        """Return the representations (n, d) float32 of raw inputs, in the forms of `Dataset.inputs`."""
        self.encoder.eval()
        device = next((p.device for p in self.encoder.parameters()), torch.device("cpu"))
        parts = [
            self.encoder(self.views.clean(torch.from_numpy(np.array(inputs[i : i + chunk])).to(device))[0])
            for i in range(0, len(inputs), chunk)
        ]
        return torch.cat([h.float().cpu() for h in parts]).numpy()

    def predict(self, h: Float[np.ndarray, "n d"]) -> Shaped[np.ndarray, "n k"]:
        """Return predictions: numbers (n, k) float64 in the user's units, or classes (n, 1) as text.

        Args:
            h: (n, d) representations.

        Raises:
            ConfigError: the run had no labels, so it predicts nothing.
        """
        found = self.answers(h)
        return np.array(self.classes)[found.astype(np.int64)] if self.classes else found

    @torch.no_grad()
    def answers(self, h: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        """Return predictions as numbers (n, k) float64: those of `predict`, or the codes (n, 1) of the classes.

        Raises:
            ConfigError: the run had no labels, so it predicts nothing.
        """
        out = self._outputs(h)
        near = isinstance(self.head, Neighbours)  # whose output is the answer
        decoded = (out if near else predictor(self.head_name, self.scaling.bins).decode(out)).double().numpy()
        return decoded if self.classes else self.scaling.restore(decoded)

    @torch.no_grad()
    def probabilities(self, h: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
        """Return the probability (n, c) float32 of each class, the softmax of the head's outputs.

        Raises:
            ConfigError: the run tells no classes apart.
        """
        if self.head is not None and not self.classes:
            raise ConfigError("this run predicts numbers, so it has no probabilities of classes. Use `predict`.")
        return self._outputs(h).softmax(dim=1).numpy()

    def interval(self, level: float, form: str | None = None) -> Callable[[Float[np.ndarray, "n d"]], Ends]:
        """Return what gives the intervals of that level, low and high (n, k) in the user's units, of representations.

        Args:
            level: share of new rows that are to lie in their interval, such as 0.9.
            form: constant or quantile; None takes the one that the run was fitted with.

        Raises:
            ConfigError: the run predicts no numbers, has no quantile heads, has them of another level, has too few
                validation rows, or was made before there were intervals.
        """
        half, band = self.half_width(level), self.band
        if form == "constant" or (form is None and band is None):

            def around(h: Float[np.ndarray, "n d"]) -> Ends:
                prediction = self.answers(h)
                return widened((prediction, prediction), half)

            return around
        if band is None:
            raise ConfigError(
                "this run has no quantile heads, so its intervals are of one width. Leave out --interval-form, or fit "
                "it again: --config RUN/config.yaml --interval 0.9 --interval-form quantile."
            )
        band.check_level(level)
        return band.ends

    def half_width(self, level: float) -> Float[np.ndarray, " k"]:
        """Return how far each target's interval of one width reaches to either side of a prediction, user's units.

        Args:
            level: share of new rows that are to lie in their interval, such as 0.9.

        Raises:
            ConfigError: the run predicts no numbers, has too few validation rows, or was made before there were
                intervals.
        """
        self.check_predicts()
        if self.classes:
            raise ConfigError(
                "this run predicts classes, and intervals are for numbers. Leave out --interval: the probabilities of "
                "the classes are written anyway."
            )
        if self.calibration is None:
            raise ConfigError(
                "this run was made before there were intervals, so it has none. Fit it again: --config RUN/config.yaml."
            )
        return self.calibration.half_width(level)

    def check_predicts(self) -> nn.Linear | Neighbours:
        """Return the head, which turns representations into predictions.

        Raises:
            ConfigError: the run had no labels, so it has none.
        """
        if self.head is None:
            raise ConfigError(
                "this run was trained without labels, so it predicts nothing. Use `isotone embed`, or probe it: "
                "`isotone evaluate RUN --category COLUMN`."
            )
        return self.head

    def _outputs(self, h: Float[np.ndarray, "n d"]) -> Tensor:
        return self.check_predicts().to("cpu")(torch.from_numpy(h))


def save_model(folder: Path, model: Model) -> None:
    """Write the model as a folder, whole or not at all.

    Args:
        folder: replaced where it is there.
        model: what to write.

    Raises:
        CheckpointError: where a weight is not finite, or the disk does not take the files.
    """
    tensors = {f"encoder.{name}": x for name, x in model.encoder.state_dict().items()}
    if model.head is not None:
        tensors |= {f"head.{name}": x for name, x in model.head.state_dict().items()}
    if model.calibration is not None:
        tensors["interval.error"] = torch.from_numpy(model.calibration.error)
        tensors["interval.group"] = torch.from_numpy(model.calibration.group)
    if model.band is not None:
        tensors["quantile.weight"] = torch.from_numpy(model.band.weight)
        tensors["quantile.bias"] = torch.from_numpy(model.band.bias)
        tensors["quantile.error"] = torch.from_numpy(model.band.calibration.error)
        tensors["quantile.group"] = torch.from_numpy(model.band.calibration.group)
    plain = {name: x.detach().cpu().contiguous().clone() for name, x in tensors.items()}
    if any(x.is_floating_point() and not bool(torch.isfinite(x).all()) for x in plain.values()):
        raise CheckpointError("the trained weights are not finite; nothing was exported. Lower --lr and train again.")
    about: dict[str, Any] = {
        "encoder": model.encoder_name,
        "norm": model.norm,
        "kind": model.kind,
        "shape": list(model.shape),
        "head": model.head_name,
        "target_names": list(model.target_names),
        "classes": list(model.classes),
        "category_name": model.category_name,
        "quantile_level": None if model.band is None else model.band.level,
        "scaling": model.scaling.to_json(),
        "views": model.views.to_json(),
    }
    write_folder(folder, {"model.safetensors": save(plain), "model.json": json.dumps(about, indent=1).encode()})


def load_model(folder: Path, encoder: nn.Module | None = None) -> Model:
    """Read a model that `save_model` wrote.

    Args:
        folder: of the model.
        encoder: the user's own module, where the run was made with one; its weights are loaded into it.

    Raises:
        CheckpointError: where a file is missing or damaged, or the weights do not fit.
        ConfigError: where the run needs the user's own module and none came.
    """
    files = read_folder(folder)
    about, tensors = json.loads(files["model.json"]), load(files["model.safetensors"])
    shape = tuple(about["shape"])
    if about["encoder"] == "custom" and encoder is None:
        raise ConfigError("this run was made with an encoder of your own: pass it as load(run, encoder=module).")
    if encoder is None:
        encoder = build_encoder(about["encoder"], kind=about["kind"], shape=shape, norm=about["norm"])[0]
    else:
        encoder = with_norm(encoder, about["norm"])
    head = _head(tensors)
    _fill(encoder, "encoder.", tensors, folder)
    if head is not None:
        _fill(head, "head.", tensors, folder)
    return Model(
        encoder.eval(),
        head,
        Views.from_json(about["views"]),
        Scaling.from_json(about["scaling"]),
        about["head"],
        about["encoder"],
        about["norm"],
        about["kind"],
        shape,
        tuple(about["target_names"]),
        tuple(about.get("classes", ())),  # runs from before there were classes name none
        about.get("category_name"),
        _calibration(tensors),
        _band(tensors, about.get("quantile_level")),
    )


# ----------------------------------------------------------------------------------------------------------------------


def _head(tensors: dict[str, Tensor]) -> nn.Linear | Neighbours | None:
    """Return a head of the saved shape, to be filled."""
    if "head.rows" in tensors:
        return Neighbours(torch.empty_like(tensors["head.rows"]), torch.empty_like(tensors["head.answers"]), 0)
    weight = tensors.get("head.weight")
    return None if weight is None else nn.Linear(weight.shape[1], weight.shape[0])


def _calibration(tensors: dict[str, Tensor]) -> Calibration | None:
    if "interval.error" not in tensors:
        return None
    return Calibration(tensors["interval.error"].numpy(), tensors["interval.group"].numpy())


def _band(tensors: dict[str, Tensor], level: float | None) -> Band | None:
    if level is None:
        return None
    weight, bias, error, group = (tensors[f"quantile.{name}"].numpy() for name in ("weight", "bias", "error", "group"))
    return Band(level, weight, bias, Calibration(error, group))


def _fill(module: nn.Module, prefix: str, tensors: dict[str, Tensor], folder: Path) -> None:
    own = {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(f"the weights in {folder} do not fit this {prefix[:-1]}: {first[:200]}") from error
