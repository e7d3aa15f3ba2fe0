"""The demo's turned digits as a table, for `isotone compare` and `isotone study`: each seed draws its own split.

python bench/digits.py digits.parquet
"""

import io
import sys

import pandas as pd
from PIL import Image

from isotone.demo import turned_digits


def main(out: str) -> None:
    """Write a Parquet table with the columns image (PNG bytes), angle (degrees) and digit."""
    digits = turned_digits()
    images = [{"bytes": _png(Image.fromarray(x[..., 0])), "path": f"{i:04}.png"} for i, x in enumerate(digits.images)]
    pd.DataFrame({"image": images, "angle": digits.angle, "digit": digits.digit}).to_parquet(out)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])
