"""What targets are places on: a line, a circle, or the sphere of directions that a gaze can have.

Source: Zhang et al. 2017, arXiv 1711.09017 (MPIIFaceGaze): pitch, yaw and the vector that they stand for.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.check import wide_dtype


def period_of(geometry: str) -> float | None:
    """Return the length of the circle, None where there is none.

    Args:
        geometry: `line`, `circle:PERIOD` or `gaze`, as `DataSettings` has checked it.

    Example:
        >>> period_of("circle:24"), period_of("gaze")
        (24.0, None)
    """
    name, _, period = geometry.partition(":")
    return float(period) if name == "circle" else None


def distance_of(geometry: str) -> str:
    """Return the name of the target distance, as `isotone.relations.target.target_distance` knows it.

    Example:
        >>> [distance_of(name) for name in ("line", "circle:24", "gaze")]
        ['l1', 'circular:24', 'angular']
    """
    return {"line": "l1", "gaze": "angular"}.get(geometry) or geometry.replace("circle", "circular")


def directions(target: Float[Tensor, "n k"]) -> Float[Tensor, "n 3"]:
    """Return gazes as vectors of three numbers: `v = (-cos p sin y, -sin p, -cos p cos y)`.

    Args:
        target: (n, 2) pitch and yaw in radians, or (n, 3) vectors of any length, which stay as they are. NaN stays NaN.

    Returns:
        (n, 3) float64 in the camera's axes: x to the right, y down, z away from it; a gaze into the camera is -z.

    Example:
        >>> directions(torch.tensor([[0.0, 0.0]])).tolist()
        [[-0.0, -0.0, -1.0]]
    """
    x = target.to(wide_dtype(target.device))
    if x.shape[1] == 3:
        return x
    pitch, yaw = x[:, 0], x[:, 1]
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], 1)
