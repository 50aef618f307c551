"""How many segments a text message takes: what a provider sends, and asks money for."""

from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")


def segments_of(text: str) -> int:
    """Segments of a text: of 160 characters of GSM 03.38, 153 where there are several; of 70 and 67 units of UTF-16
    as soon as one character is not among them. Nothing goes over the end of a segment that takes two places."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        return _filled([2 if character in _EXTENDED else 1 for character in text], 160, 153)
    return _filled([len(character.encode("utf-16-be")) // 2 for character in text], 70, 67)


def _filled(places: list[int], alone: int, together: int) -> int:
    if sum(places) <= alone:
        return 1
    segments, left = 1, together
    for place in places:
        if place > left:
            segments, left = segments + 1, together
        left -= place
    return segments
