"""One guarded import of timm."""

from types import ModuleType

import torch

_MISSING = {"torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"}
_MISSING["torchvision::qnms"] = _MISSING["torchvision::nms"]


def import_timm() -> ModuleType:
    """Return timm, also where torchvision cannot load its compiled operators.

    timm needs torchvision. A torchvision wheel built for CUDA beside a torch built for the CPU (which pip installs
    without complaint) fails at import: `operator torchvision::nms does not exist`, because it registers a Python
    function for an operator that its compiled part never declared. Declaring it here lets the import pass. timm's
    encoders never call it, and where torchvision works nothing is declared.

    Raises:
        ImportError: timm or torchvision is not installed.

    Example:
        >>> import_timm().is_model("resnet18")
        True
    """
    try:
        import timm
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name, schema in _MISSING.items():
            torch.library.define(name, schema)
        import timm
    return timm
