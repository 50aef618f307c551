"""How the engine names what is wrong: bounded lists of faults with JSON pointers that are always printable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.kit.errors import Fault, Invalid

MAX_FAULTS: Final = 100
"""The most faults that one check or one parse reports; the rest adds nothing for the reader."""

_MAX_TOKEN: Final = 64
_MAX_DETAIL: Final = 300


class InvalidDefinition(Invalid):
    """The form definition is refused; `faults` names everything that is wrong with it."""

    code, title = "definition.invalid", "The form definition is not valid"


@dataclass(frozen=True, slots=True)
class BoundFault(Fault):
    """A fault of an answer that breaks a bound; `params` has the bound, for whoever says it in another language."""

    params: Mapping[str, Any] = field(default_factory=dict, compare=False)


def pointer(*tokens: object) -> str:
    """The JSON pointer (RFC 6901) to `tokens`. Keys that a client made up are cut and made encodable."""
    return "".join("/" + _token(token) for token in tokens)


def printable(text: str) -> str:
    """`text` cut to a sentence's length, with lone surrogates and NUL written out."""
    return _encodable(text[:_MAX_DETAIL])


def _token(token: object) -> str:
    text = _encodable(str(token)[:_MAX_TOKEN])
    return text.replace("~", "~0").replace("/", "~1")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
