"""Writes tests/golden/own: small data as NumPy and pyarrow write them. pip install numpy pillow pyarrow (2.4, 13.0, 26.0 wrote what is there)."""

import io
import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

folder = pathlib.Path(__file__).parent.parent / "golden/own"
folder.mkdir(exist_ok=True)

# Pixel (y, x, c) of image n is 20 n + 4 y + 2 x + c; labels 0, 1, 2, 0, 1, 2.
n, y, x, c = np.ogrid[:6, :2, :2, :3]
images = (20 * n + 4 * y + 2 * x + c).astype(np.uint8)
labels = np.arange(6) % 3


def png(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def hub(name, images, labels, **options):
    encoded = pa.array(
        [{"bytes": png(image), "path": f"{i}.png"} for i, image in enumerate(images)],
        type=pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    features = {"image": {"_type": "Image"}, "label": {"names": ["ant", "bee", "cow"], "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pa.table({"image": encoded, "label": pa.array(labels, pa.int64())}).replace_schema_metadata(metadata)
    pq.write_table(table, folder / name, **options)


hub("train-00000-of-00002.parquet", images[:3], labels[:3], row_group_size=2)
hub("train-00001-of-00002.parquet", images[3:], labels[3:], compression="zstd")
hub("test-00000-of-00001.parquet", images[:2], labels[:2])
np.savez_compressed(
    folder / "arrays.npz",
    train_x=np.asfortranarray(images),
    train_y=labels.astype(">i4"),
    test_x=images[:2],
    test_y=labels[:2].astype(np.uint8),
)

# One colour in every form that image files have; Pillow's own conversion to RGB is within 3 levels of it.
colour = (200, 60, 40)
odd = folder / "odd"
odd.mkdir(exist_ok=True)
image = Image.new("RGB", (16, 12), colour)
image.save(odd / "progressive.jpg", progressive=True, quality=95)
image.convert("CMYK").save(odd / "cmyk.jpg", quality=95)
image.convert("L").save(odd / "grey.jpg", quality=95)
image.quantize(4).save(odd / "palette.png")
image.convert("RGBA").save(odd / "alpha.png")
Image.fromarray(np.full((12, 16), 103 * 257, np.uint16)).save(odd / "grey-16.png")
image.convert("L").convert("LA").save(odd / "grey-alpha.png")
image.save(odd / "other.webp", lossless=True)
for path in sorted(odd.glob("*.*g")):
    pixel = np.array(Image.open(path).convert("RGB"))[6, 8].astype(int)
    grey = 103 if "grey" in path.name else None
    # Pillow clips 16 bits instead of scaling them.
    assert path.name == "grey-16.png" or np.abs(pixel - (grey or colour)).max() <= 3, (path, pixel)
