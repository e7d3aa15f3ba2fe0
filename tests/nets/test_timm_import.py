import builtins
import sys

import pytest
import torch

from isotone.nets.timm_import import import_timm


def test_timm_comes_back_and_comes_back_again():
    timm = import_timm()
    assert timm.is_model("resnet18")
    assert import_timm() is timm


@pytest.fixture
def failing(monkeypatch):
    """Let `import timm` fail with a text as often as asked; return the names that were declared meanwhile."""
    real, declared = builtins.__import__, []
    monkeypatch.setattr(torch.library, "define", lambda name, schema: declared.append(name))

    def arrange(text, times):
        left = [times]

        def fake(name, *rest, **more):
            if name == "timm" and left[0]:
                left[0] -= 1
                raise RuntimeError(text)
            return real(name, *rest, **more)

        monkeypatch.setattr(builtins, "__import__", fake)
        return declared

    import_timm()
    declared.clear()
    return arrange


def test_missing_operators_are_declared_once(failing):
    declared = failing("operator torchvision::nms does not exist", 1)
    assert import_timm() is sys.modules["timm"]
    assert declared == ["torchvision::nms", "torchvision::qnms"]


def test_nothing_is_declared_where_the_import_works(failing):
    declared = failing("", 0)
    import_timm()
    assert declared == []


def test_other_faults_come_through(failing):
    declared = failing("out of cheese", 1)
    with pytest.raises(RuntimeError, match=r"^out of cheese$"):
        import_timm()
    assert declared == []
