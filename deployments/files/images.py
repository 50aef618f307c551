"""Pictures without what they tell of their makers: decoded, turned upright and encoded again, so nothing else stays."""

import warnings
from contextlib import suppress
from typing import IO, Any, Final

from PIL import Image, ImageOps, ImageSequence, JpegImagePlugin, UnidentifiedImageError

from deployments.files.errors import ImageTooLarge, ImageUnreadable

FORMATS: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
    "image/avif": "AVIF",
}
"""The media types whose metadata can be removed, and what the library calls them."""

_QUALITY: Final = 90


def strip(source: IO[bytes], kind: str, target: IO[bytes], max_pixels: int) -> None:
    """Write the picture of `source` to `target` without EXIF, comments, thumbnails and whatever follows its end.

    Its orientation, colours (ICC profile) and frames stay. Raises ImageTooLarge before anything is decoded when all
    frames together have more than `max_pixels`, ImageUnreadable for a picture that is broken or of another format.
    """
    name = FORMATS[kind]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd tags are what we remove
            with Image.open(source, formats=(name,)) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise ImageTooLarge.because(f"The image has {width * height} pixels; {max_pixels} are allowed.")
                # Cameras put further pictures into one JPEG file: previews, depth. They go, with the rest.
                frames = 1 if name == "JPEG" else getattr(image, "n_frames", 1)
                if width * height * frames > max_pixels:
                    raise ImageTooLarge.because(f"The image has {frames} frames, too many for its size.")
                _encode(image, name, frames, target)
    except Image.DecompressionBombError as error:  # the library's own limit, which comes first
        raise ImageTooLarge.because(f"The image has too many pixels; {max_pixels} are allowed.") from error
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError) as error:
        raise ImageUnreadable.because("The image cannot be read: it is damaged, or not what it says.") from error
    except (MemoryError, OverflowError, TypeError, KeyError, IndexError, AttributeError) as error:
        # Hostile headers lead the library to any of these.
        raise ImageUnreadable.because("The image cannot be read.") from error


def _encode(image: Image.Image, name: str, frames: int, target: IO[bytes]) -> None:
    options: dict[str, Any] = {}
    if profile := image.info.get("icc_profile"):
        options["icc_profile"] = profile
    if frames > 1:
        _encode_frames(image, name, options, target)
        return
    if name == "JPEG":
        with suppress(ValueError, AttributeError):  # odd tables, or not in the library's list: its own will do
            options |= {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}  # type: ignore[attr-defined]
        if "qtables" not in options or options["subsampling"] == -1:
            options = {key: value for key, value in options.items() if key == "icc_profile"} | {"quality": _QUALITY}
    elif name in ("WEBP", "AVIF"):
        options["quality"] = _QUALITY
    if "transparency" in image.info and name in ("PNG", "GIF"):
        options["transparency"] = image.info["transparency"]
    upright = ImageOps.exif_transpose(image)
    clean = upright.copy()
    clean.info = {}
    clean.getexif().clear()
    clean.save(target, name, **options)


def _encode_frames(image: Image.Image, name: str, options: dict[str, Any], target: IO[bytes]) -> None:
    shown: list[Image.Image] = []
    durations: list[int] = []
    for frame in ImageSequence.Iterator(image):
        durations.append(int(frame.info.get("duration", 0)))
        copy = frame.copy()
        copy.info = {key: value for key, value in frame.info.items() if key in ("transparency", "disposal", "blend")}
        copy.getexif().clear()
        shown.append(copy)
    if name != "TIFF":
        options |= {"duration": durations, "loop": int(image.info.get("loop", 0))}
    shown[0].save(target, name, save_all=True, append_images=shown[1:], **options)
