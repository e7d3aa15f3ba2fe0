"""Thumbnails: small, never enlarged, within their budget."""

import base64
import io

import numpy as np
from PIL import Image

from isotone.report.thumbnails import data_uri, data_uris

NOISE = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def size(uri: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,")))).size


def test_shrinks_and_never_enlarges() -> None:
    assert size(data_uri(NOISE[0], 32)) == (32, 32)
    assert size(data_uri(NOISE[0, :32], 32)) == (32, 16)
    assert size(data_uri(NOISE[0, :8, :8, :1], 32)) == (8, 8)


def test_small_pictures_are_exact() -> None:
    digit = NOISE[0, :8, :8, :1]
    decoded = Image.open(io.BytesIO(base64.b64decode(data_uri(digit, 32).partition(",")[2])))
    assert (np.asarray(decoded.convert("L")) == digit[..., 0]).all()


def test_edges_are_tried_until_the_budget_is_met() -> None:
    assert {size(uri) for uri in data_uris(NOISE, (64, 32, 8), 10**6)} == {(64, 64)}
    assert {size(uri) for uri in data_uris(NOISE, (64, 32, 8), 1)} == {(8, 8)}
    assert data_uris(NOISE[:0], (64,), 1) == []
