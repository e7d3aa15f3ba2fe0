"""The demo's turned digits as a table, for `isotone compare` and `isotone study`: each seed draws its own split.

python bench/digits.py digits.parquet
python bench/digits.py low.parquet 0 4      # those of the digits 0 to 4, for `isotone study transfer`
"""

import io
import sys

import pandas as pd
from PIL import Image

from isotone.demo import turned_digits


def main(out: str, low: int = 0, high: int = 9) -> None:
    """Write a Parquet table of the digits low to high: image (PNG bytes), angle (degrees) and digit."""
    digits = turned_digits()
    images = [{"bytes": _png(Image.fromarray(x[..., 0])), "path": f"{i:04}.png"} for i, x in enumerate(digits.images)]
    table = pd.DataFrame({"image": images, "angle": digits.angle, "digit": digits.digit})
    table[table["digit"].str[-1].astype(int).between(low, high)].to_parquet(out)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
