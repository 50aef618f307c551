"""R5: no format of pictures, still or moving, keeps what it tells beside the picture."""

import io
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deployments.files.images import FORMATS, strip

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRET</x:xmpmeta>"
STILL = {"image/jpeg", "image/bmp"}
CASES = [(kind, frames) for kind in FORMATS for frames in (1, 3) if frames == 1 or kind not in STILL]


def told(kind: str) -> dict[str, Any]:
    """All that the format can hold of whoever made the picture."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    texts = PngInfo()
    texts.add_text("Author", "SECRET")
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options: dict[str, dict[str, Any]] = {
        "image/jpeg": {"exif": exif, "xmp": XMP, "comment": b"SECRET"},
        "image/png": {"exif": exif, "pnginfo": texts},
        "image/gif": {"comment": b"SECRET", "xmp": XMP},
        "image/webp": {"exif": exif, "xmp": XMP},
        "image/tiff": {"tiffinfo": {270: "SECRET", 315: "SECRET", 700: XMP, 33723: b"SECRET"}},
        "image/bmp": {},
        "image/avif": {"exif": exif, "xmp": XMP},
    }
    return options[kind]


@pytest.mark.parametrize(("kind", "frames"), CASES)
def test_nothing_is_told_beside_the_picture(kind: str, frames: int) -> None:
    options = told(kind)
    colours = [(255, 0, 0), (0, 0, 255), (0, 255, 0)][:frames]
    first, *others = (Image.new("RGB", (40, 20), colour) for colour in colours)
    if others:
        options |= {"save_all": True, "append_images": others}
    sent, kept = io.BytesIO(), io.BytesIO()
    first.save(sent, FORMATS[kind], **options)
    assert (b"SECRET" in sent.getvalue()) is (kind != "image/bmp")

    strip(sent, kind, kept, 40 * 20 * frames)

    assert b"SECRET" not in kept.getvalue()
    with Image.open(kept) as image:
        assert (image.format, getattr(image, "n_frames", 1)) == (FORMATS[kind], frames)
        assert not image.getexif().get_ifd(0x8825)
        for number, colour in enumerate(colours):
            image.seek(number)
            shown = image.convert("RGB").getpixel((20, 10))
            assert isinstance(shown, tuple)
            assert all(abs(one - other) < 8 for one, other in zip(shown, colour, strict=True))
