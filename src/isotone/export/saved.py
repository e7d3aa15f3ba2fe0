"""The model of a finished run: encoder, linear head and all that turns raw inputs into the user's units and back."""

import json
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
from isotone.nets.norms import group_norm
from isotone.predict import predictor
from isotone.predict.scaling import Scaling
from isotone.records import Kind
from isotone.train.checkpoint import read_folder, write_folder


@dataclass(frozen=True)
class Model:
    """A trained encoder and its linear head.

    Args:
        encoder: (b, ...) to (b, d).
        head: d inputs, o outputs.
        views: makes the encoder's input of raw inputs.
        scaling: of the targets.
        head_name: predictor that decodes the head's outputs.
        encoder_name: as `build_encoder` knows it, or `custom` for a module of the user's.
        norm: batch or group.
        kind: image or rows.
        shape: of one encoder input, (c, h, w) or (f,).
        target_names: k names.
    """

    encoder: nn.Module
    head: nn.Linear
    views: Views
    scaling: Scaling
    head_name: str
    encoder_name: str
    norm: str
    kind: Kind
    shape: tuple[int, ...]
    target_names: tuple[str, ...]

    @torch.no_grad()
    def embed(self, inputs: Shaped[np.ndarray, "n *shape"], *, chunk: int = 256) -> Float[np.ndarray, "n d"]:
        """Return the representations (n, d) float32 of raw inputs: (n, h, w, c) uint8 or (n, f) float32."""
        self.encoder.eval()
        device = next((p.device for p in self.encoder.parameters()), torch.device("cpu"))
        parts = [
            self.encoder(self.views.clean(torch.from_numpy(np.array(inputs[i : i + chunk])).to(device))[0])
            for i in range(0, len(inputs), chunk)
        ]
        return torch.cat([h.float().cpu() for h in parts]).numpy()

    @torch.no_grad()
    def predict(self, h: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        """Return predictions (n, k) float64 in the user's units for representations (n, d)."""
        head = self.head.to("cpu")
        standardised = predictor(self.head_name).decode(head(torch.from_numpy(h)))
        return self.scaling.restore(standardised.double().numpy())


def save_model(folder: Path, model: Model) -> None:
    """Write the model as a folder, whole or not at all.

    Args:
        folder: replaced where it is there.
        model: what to write.

    Raises:
        CheckpointError: where a weight is not finite, or the disk does not take the files.
    """
    tensors = {f"encoder.{name}": x for name, x in model.encoder.state_dict().items()}
    tensors |= {f"head.{name}": x for name, x in model.head.state_dict().items()}
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
    elif about["norm"] == "group":
        encoder = group_norm(encoder)
    weight = tensors["head.weight"]
    head = nn.Linear(weight.shape[1], weight.shape[0])
    _fill(encoder, "encoder.", tensors, folder)
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
    )


# ----------------------------------------------------------------------------------------------------------------------


def _fill(module: nn.Module, prefix: str, tensors: dict[str, Tensor], folder: Path) -> None:
    own = {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(f"the weights in {folder} do not fit this {prefix[:-1]}: {first[:200]}") from error
