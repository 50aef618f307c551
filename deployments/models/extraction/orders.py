"""Numbers of orders, invoices, tickets, bookings and the like.

A number counts where a word says what it numbers ("order no. 4711", "Rechnung RE-2024/17"), where it follows "#", and
where it has the shape that shops give them: capitals, a hyphen, digits ("ORD-20318"), or that of a parcel's number.
"""

from collections.abc import Iterator
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from deployments.models.extraction.findings import MAX_FINDINGS, Finding
from deployments.models.extraction.reading import Reading

# These say it alone ("order 20318"); those only with a word for number ("customer no. 20318").
_THINGS: Final = (
    "order|purchase order|invoice|ticket|booking|reservation|confirmation|reference|ref|tracking|shipment|parcel|rma|"
    "bestellung|auftrag|rechnung|vorgang|sendung|buchung|referenz|aktenzeichen|az|"
    "commande|facture|dossier|colis|suivi|"
    "pedido|factura|referencia|reserva|envio|expediente|seguimiento"
)
_OTHERS: Final = (
    "case|customer|contract|policy|serial|claim|po|account|member|item|confirmation|delivery|"
    "bestell|bestellungs|auftrags|rechnungs|kunden|vorgangs|vertrag|vertrags|sendungs|buchungs|artikel|serien|referenz|"
    "contrat|client|contrato|cliente|article|articulo"
)
# "n°" reads as n and a sign.
_NUMBER: Final = r"(?:(?:numbers?|num|no|nr|id|code|nummer|numero|n)\b\.?|#|n\x7f)"
_ID: Final = r"[a-z0-9](?:[a-z0-9]|[-_/.][a-z0-9]){1,39}"
_NAMED: Final[Any] = re2.compile(
    (
        rf"\b(?:(?:{_THINGS})(?:[ -]?(?:de )?{_NUMBER})?|(?:{_OTHERS})[ -]?(?:de )?{_NUMBER})"
        rf"(?: (?:is|was|ist|lautet|war|est|es|of|with|the|von)\b)? ?[:#=-]? ?(?:{_NUMBER} ?)?(?P<id>{_ID})\b"
    ).encode()
)
_HASHED: Final[Any] = re2.compile(rb"(?:^|[^\w&/#.])#(?P<id>[a-z]{0,4}-?\d[\d-]{3,19})\b")
_SHAPED: Final[Any] = re2.compile(
    r"\b(?P<id>[A-Z]{2,6}(?:[-_/][A-Z0-9]{1,6}){0,2}[-_/]\d{4,14}|1Z[A-Z0-9]{16}|[A-Z]{2}\d{9}[A-Z]{2}|\d{3}-\d{7}-\d{7})\b"
)
_A_DAY: Final[Any] = re2.compile(r"(?:19|20)\d\d-\d\d-\d\d")
_SHORTEST: Final = 3


def order_numbers(reading: Reading) -> Iterator[Finding]:
    """The value is the number in capitals, without blanks."""
    for pattern, confidence in ((_NAMED, 1.0), (_HASHED, 0.8)):
        place = pattern.groupindex[b"id"]
        for count, match in enumerate(pattern.finditer(reading.shadow)):
            if count == MAX_FINDINGS:
                break
            start, end = match.span(place)
            if _is_number(reading.text[start:end]):
                yield Finding("order_number", start, end, reading.text[start:end].upper(), confidence)
    for count, match in enumerate(_SHAPED.finditer(reading.text)):
        if count == MAX_FINDINGS:
            return
        yield Finding("order_number", match.start(), match.end(), match.group(), 0.8)


def _is_number(found: str) -> bool:
    """Whether it has enough digits to be one: "order 66" and "ticket 2 of 3" are none, nor is "order 3pm" or a year."""
    if _A_DAY.fullmatch(found):
        return False
    digits = sum(each.isdecimal() for each in found)
    if len(found) < _SHORTEST or digits < _SHORTEST:
        return digits >= _SHORTEST - 1 and any(each.isupper() for each in found) and len(found) > _SHORTEST
    return not ("." in found and found.replace(".", "").isdecimal())
