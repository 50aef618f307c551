"""Telephone numbers as people write them and as they are kept (ITU-T E.164)."""

from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from deployments.kit.errors import Invalid

# Calls to these cost somebody extra, or reach nobody: fraud lives on texting them.
_REFUSED: Final = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.UAN,
        PhoneNumberType.PAGER,
        PhoneNumberType.VOICEMAIL,
    }
)
_SHOWN: Final = 2


def normalise_phone(text: str) -> str:
    """The number in E.164. Raises Invalid at `/phone`: `format.phone`, or `phone.refused` for one that costs extra."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_valid_number(number):
        raise Invalid.at("/phone", "format.phone", "give a telephone number with its country's code, such as +49 …")
    if phonenumbers.number_type(number) in _REFUSED:
        raise Invalid.at("/phone", "phone.refused", "messages are not sent to numbers of this kind")
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def masked(phone: str) -> str:
    """Enough of a number to recognise one's own."""
    return f"…{phone[-_SHOWN:]}"
