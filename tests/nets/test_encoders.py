import pytest
import torch
from safetensors.torch import save_file

from isotone.errors import ConfigError
from isotone.nets import encoders
from isotone.nets.encoders import build_encoder, pretrained_statistics
from isotone.nets.norms import has_batch_norm
from isotone.nets.timm_import import import_timm


def small(**settings):
    return build_encoder("small-cnn", **({"kind": "image", "shape": (1, 16, 16)} | settings))


def packed(encoder):
    """Return the weights as a file holds them, whatever their order in memory."""
    return {name: x.contiguous() for name, x in encoder.state_dict().items()}


@pytest.fixture
def refusal(tmp_path):
    """Return the text with which a build is refused, the test's folder cut out of it."""

    def text(name="small-cnn", **settings):
        with pytest.raises(ConfigError) as error:
            build_encoder(name, **({"kind": "image", "shape": (1, 16, 16)} | settings))
        return str(error.value).replace(f"{tmp_path}/", "")

    return text


@pytest.mark.parametrize(
    ("name", "kind", "shape", "width"),
    [
        ("small-cnn", "image", (1, 8, 8), 512),
        ("small-cnn", "image", (3, 64, 48), 512),
        ("resnet18", "image", (1, 16, 16), 512),
        ("resnet18-small", "image", (3, 16, 16), 512),
        ("mlp", "rows", (5,), 256),
        ("cnn-1d", "signal", (2, 16), 512),
        ("cnn-1d", "signal", (1, 300), 512),
        ("resnet-1d", "signal", (2, 64), 512),
        ("eegnet", "signal", (2, 100), 48),
        ("mobilenetv3_small_050", "image", (3, 32, 32), 1024),
    ],
)
@pytest.mark.parametrize("norm", ["batch", "group", "channel"])
def test_an_encoder_gives_vectors_and_gradients(name, kind, shape, width, norm):
    encoder, d = build_encoder(name, kind=kind, shape=shape, norm=norm)
    out = encoder(torch.rand(2, *shape))
    assert out.shape == (2, width)
    assert d == width
    assert encoder.training
    assert has_batch_norm(encoder) == (norm == "batch")
    out.square().mean().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_a_model_of_a_fixed_size_is_made_for_the_size_of_the_views():
    encoder, width = build_encoder("vit_tiny_patch16_224", kind="image", shape=(3, 32, 32))
    assert encoder(torch.rand(1, 3, 32, 32)).shape == (1, 192)
    assert width == 192


def test_resnet18_is_the_published_one():
    encoder, _ = build_encoder("resnet18", kind="image", shape=(3, 32, 32))
    assert sum(p.numel() for p in encoder.parameters()) == 11_176_512  # torchvision's 11,689,512 less the classifier's
    assert encoder.conv1.kernel_size == (7, 7)
    assert float(encoder.layer1[0].bn2.weight.detach().min()) == 1.0  # not zero, as torchvision starts it


def test_resnet18_small_keeps_the_resolution():
    encoder, _ = build_encoder("resnet18-small", kind="image", shape=(3, 16, 16))
    assert encoder.forward_features(torch.rand(1, 3, 16, 16)).shape == (1, 512, 2, 2)


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("small-cnn", "image", (1, 8, 8)),
        ("mlp", "rows", (3,)),
        ("resnet18", "image", (1, 32, 32)),
        ("cnn-1d", "signal", (2, 64)),
        ("eegnet", "signal", (2, 64)),
    ],
)
def test_the_first_weights_depend_on_the_seed_alone(name, kind, shape):
    state = torch.get_rng_state()
    first = build_encoder(name, kind=kind, shape=shape, seed=3)[0].state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    again = build_encoder(name, kind=kind, shape=shape, seed=3)[0].state_dict()
    other = build_encoder(name, kind=kind, shape=shape, seed=4)[0].state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_weights_come_from_a_file(tmp_path):
    saved = small(seed=1)[0]
    save_file(packed(saved), tmp_path / "w.safetensors")
    loaded = small(seed=2, weights=str(tmp_path / "w.safetensors"))[0]
    assert all(torch.equal(x, loaded.state_dict()[k]) for k, x in saved.state_dict().items())


def test_the_classifier_of_a_timm_file_is_left_out(tmp_path):
    whole = import_timm().create_model("resnet18", in_chans=1)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    encoder, _ = build_encoder("resnet18", kind="image", shape=(1, 32, 32), weights=str(tmp_path / "w.safetensors"))
    assert torch.equal(encoder.conv1.weight, whole.conv1.weight)


def test_wrong_weights_are_refused(tmp_path, refusal):
    file = tmp_path / "w.safetensors"
    state = packed(small()[0])
    state["extra"] = state.pop("stages.0.0.weight")
    state["stages.1.1.bias"] = torch.zeros(9)
    del state["stages.3.1.bias"]
    save_file(state, file)
    assert refusal(weights=str(file)) == (
        "The weights in 'w.safetensors' are not those of the encoder 'small-cnn': stages.0.0.weight is missing; "
        "stages.3.1.bias is missing; extra is not the encoder's; and 1 more. "
        "Name the encoder, channels and norm that they were made with."
    )
    state = packed(small()[0]) | {"stages.1.1.bias": torch.zeros(9)}
    save_file(state, file)
    assert refusal(weights=str(file)) == (
        "The weights in 'w.safetensors' are not those of the encoder 'small-cnn': "
        "stages.1.1.bias is (9,), expected (64,). Name the encoder, channels and norm that they were made with."
    )


def test_a_file_that_is_none_or_no_safetensors_is_refused(tmp_path, refusal):
    assert refusal(weights=str(tmp_path / "gone")) == (
        "Expected a safetensors file of weights, but 'gone' is not a file. Check `weights`."
    )
    (tmp_path / "text").write_text("not weights at all")
    text = refusal(weights=str(tmp_path / "text"))
    assert text.startswith("'text' is not a safetensors file: Error while deserializing header")  # the library's words
    assert text.endswith(". Check `weights`.")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"name": "small_cnn"},
            "Unknown encoder 'small_cnn'. Did you mean 'small-cnn'? "
            "Known: small-cnn, resnet18, resnet18-small, mlp, cnn-1d, resnet-1d, eegnet, any model of timm.",
        ),
        (
            {"name": "resnet19"},
            "Unknown encoder 'resnet19'. Did you mean 'resnet18'? "
            "Known: small-cnn, resnet18, resnet18-small, mlp, cnn-1d, resnet-1d, eegnet, any model of timm.",
        ),
        (
            {"name": "resnet18.a1_in2k"},
            "Unknown encoder 'resnet18.a1_in2k'. Did you mean 'resnet18'? "
            "Known: small-cnn, resnet18, resnet18-small, mlp, cnn-1d, resnet-1d, eegnet, any model of timm.",
        ),
        (
            {"name": "mlp"},
            "The encoder 'mlp' does not take images, which the data are. Use small-cnn or resnet18.",
        ),
        (
            {"name": "resnet18", "kind": "rows", "shape": (4,)},
            "The encoder 'resnet18' does not take rows of numbers, which the data are. Use mlp.",
        ),
        (
            {"shape": (2, 1, 16, 16)},
            "Expected the shape (channels, height, width) of one view, got (2, 1, 16, 16). Leave out the batch.",
        ),
        (
            {"name": "small-cnn", "kind": "signal", "shape": (2, 100)},
            "The encoder 'small-cnn' does not take signals, which the data are. Use cnn-1d, resnet-1d or eegnet.",
        ),
        (
            {"name": "cnn-1d"},
            "The encoder 'cnn-1d' does not take images, which the data are. Use small-cnn or resnet18.",
        ),
        (
            {"name": "cnn-1d", "kind": "signal", "shape": (100,)},
            "Expected the shape (channels, samples) of one view, got (100,). Leave out the batch.",
        ),
        (
            {"name": "cnn-1d", "kind": "signal", "shape": (1, 15)},
            "The encoder 'cnn-1d' does not take views of shape (1, 15): Calculated padded input size per channel: (3). "
            "Kernel size: (4). Kernel size can't be greater than actual input size. Use longer windows.",
        ),
        (
            {"name": "eegnet", "kind": "signal", "shape": (21, 20)},
            "The encoder 'eegnet' needs windows of at least 32 samples, but these have 20. Use longer windows or "
            "another encoder: cnn-1d takes 16 samples.",
        ),
        (
            {"name": "resnet-1d", "kind": "signal", "shape": (1, 31)},
            "The encoder 'resnet-1d' needs windows of at least 32 samples, but these have 31. Use longer windows or "
            "another encoder: cnn-1d takes 16 samples.",
        ),
        ({"norm": "layer"}, "Unknown norm 'layer'. Known: batch, group, channel."),
        ({"pretrained": True, "weights": "x"}, "Expected `pretrained` or `weights`, got both. Leave one out."),
        (
            {"pretrained": True},
            "There are no published weights of 'small-cnn'. Use `weights` with a file, or another encoder.",
        ),
        (
            {"name": "test_vit", "shape": (3, 4, 4)},
            "The encoder 'test_vit' does not take views of shape (3, 4, 4): "
            "Input height (4) should be divisible by patch size (16). Use another image size.",
        ),
    ],
)
def test_wrong_settings_are_refused(refusal, settings, text):
    assert refusal(**settings) == text


def test_weights_that_cannot_be_fetched_are_explained(refusal, monkeypatch):
    def create(name, **settings):
        raise OSError("no route to host\nmore")

    monkeypatch.setattr(import_timm(), "create_model", create)
    assert refusal("resnet18", pretrained=True) == (
        "timm could not fetch the published weights of 'resnet18' for views (1, 16, 16): no route to host. "
        "Give a file with `weights`."
    )


def test_published_weights_and_group_norm_do_not_go_together(refusal, monkeypatch):
    real = encoders._timm
    monkeypatch.setattr(encoders, "_timm", lambda name, shape, pretrained: real(name, shape, False))
    assert refusal("resnet18", shape=(3, 32, 32), pretrained=True, norm="group") == (
        "The published weights of 'resnet18' rest on batch norm, but norm is 'group'. Use norm 'batch'."
    )


def test_statistics_of_published_weights():
    assert pretrained_statistics("vit_tiny_patch16_224") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
