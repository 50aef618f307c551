"""Who is to be erased: how a person is named, compared with answers, and remembered without being told."""

import hashlib
import hmac
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from unicodedata import normalize

import orjson

from deployments.kit.answer_quotas import elements_of
from deployments.kit.engine import Definition, stored_definition
from deployments.kit.engine.fields.formats import normal_email, normal_phone
from deployments.kit.errors import Invalid
from deployments.kit.personal import personal_fields
from deployments.kit.vault import Vault
from deployments.tenancy.people_contracts import ErasureSubject

Kind: TypeAlias = Literal["email", "phone", "responses", "field"]

_LONGEST: Final = 320


@dataclass(frozen=True, slots=True)
class Subject:
    """A person by an e-mail address, a telephone number in E.164, ids of responses, or a field's answer.

    `values` are normalised: one value, the ids, or the field's id and the answer.
    """

    kind: Kind
    values: tuple[str, ...]

    @classmethod
    def of(cls, named: ErasureSubject) -> "Subject":
        """The person that a caller names. Raises Invalid for what is no address or number."""
        if named.email is not None:
            address = normal_email(named.email)
            if address is None:
                raise Invalid.at("/subject/email", "format.email", "Give an e-mail address.")
            return cls("email", (_folded(address),))
        if named.phone is not None:
            number = normal_phone(named.phone, None)
            if number is None or not number.startswith("+"):
                raise Invalid.at("/subject/phone", "format.phone", "Give a number with its country's code: +49 …")
            return cls("phone", (number,))
        if named.response_ids:
            return cls("responses", tuple(sorted(set(named.response_ids))))
        return cls("field", (named.field or "", _folded(named.value or "")))

    @classmethod
    def opened(cls, vault: Vault, kind: Kind, sealed: str) -> "Subject":
        """The person that `sealed` had encrypted."""
        return cls(kind, tuple(orjson.loads(vault.open(sealed))))

    def sealed(self, vault: Vault) -> str:
        """The person, encrypted, for as long as somebody has to look for them."""
        return vault.seal(orjson.dumps(self.values).decode())

    def digest(self, key: bytes, tenant_id: str) -> str:
        """What stands for the person: the same for the same person, and without the platform's key nobody can find
        out by trying who it is."""
        text = orjson.dumps([tenant_id, self.kind, *self.values])
        return hmac.new(key, text, hashlib.sha256).hexdigest()

    def fields(self, documents: Sequence[Mapping[str, Any]]) -> frozenset[str]:
        """The fields of a form's versions whose answers may name the person."""
        if self.kind == "field":
            known = {element["id"] for document in documents for element in elements_of(document)}
            return frozenset(self.values[:1]) & known
        definitions = [stored_definition(document) for document in documents]
        return personal_fields(definitions) | _of_type(definitions, self.kind)

    def is_in(self, answers: Mapping[str, Any], fields: Collection[str], meta: Mapping[str, Any]) -> bool:
        """Whether these answers are the person's: those to the fields, and for an address or a number what the client
        kept beside them."""
        wanted = self.values[-1]
        watched = (answers[name] for name in fields if name in answers)
        if self.kind == "field":
            return any(_folded(text) == wanted for value in watched for text in _texts(value))
        same = _is_address if self.kind == "email" else _is_number
        texts = (text for value in (*watched, meta) for text in _texts(value))
        return any(same(text, wanted) for text in texts)


def _of_type(definitions: Sequence[Definition], kind: str) -> frozenset[str]:
    """The fields that hold an address or a number, marked as personal or not; groups that have one inside."""
    found = {field.id for definition in definitions for field in definition.fields if field.type == kind}
    inside = {
        group.id for definition in definitions for group, inner in definition.inner_fields() if inner.type == kind
    }
    return frozenset(found | inside)


def _is_address(text: str, wanted: str) -> bool:
    if "@" not in text or len(text) > _LONGEST:
        return False
    folded = _folded(text)
    return folded == wanted or _folded(normal_email(text) or "") == wanted


def _is_number(text: str, wanted: str) -> bool:
    return "+" in text and len(text) <= _LONGEST and normal_phone(text, None) == wanted


def _folded(text: str) -> str:
    # NFKC once more: case folding can leave what it composed before.
    return normalize("NFKC", normalize("NFKC", text.strip()).casefold())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
