"""Which passwords people may choose, beyond their length (NIST SP 800-63B §3.1.1.2)."""

import unicodedata
from typing import Final

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from db.repositories.users import UserRepository
from db.session import UnitOfWork
from deployments.kit.errors import Invalid

_COMMON: Final = frozenset(FREQUENCY_LISTS["passwords"])
_PLATFORM: Final = "Formstream"
_SEPARATORS: Final = str.maketrans("", "", " .-_+@")


def check(password: str, email: str, name: str, pointer: str) -> None:
    """Raise Invalid when the password is one of the 30,000 most common, or what is tried next for this account.

    That is the person's e-mail, a part of it, the person's name or the platform's, whatever its case and separators
    (ASVS 5.0, 6.2.11).
    """
    if password.casefold() in _COMMON:
        raise Invalid.at(pointer, "password.common", "this is one of the most common passwords, and tried first")
    chosen = _folded(password)
    mailbox, _, domain = email.partition("@")
    known = {_folded(word) for word in (email, mailbox, domain, domain.partition(".")[0], name, _PLATFORM)}
    if chosen in known:
        raise Invalid.at(pointer, "password.personal", "a password must not be the own e-mail, organisation or name")


async def check_of(unit: UnitOfWork, user_id: str, password: str, pointer: str) -> None:
    """See `check`, for somebody who has an account."""
    row = await UserRepository(unit.session, unit.tenant).get(user_id)
    if row is not None:
        check(password, row.email, row.name, pointer)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().translate(_SEPARATORS)
