"""Accounts as the platform has them. Passwords are not among what is carried over."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from deployments.identity.contracts import CarriedUser
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.reading import Members, born, is_secret, list_of, moment_of, text_of, truth_of

RENAMED: Final = "email.renamed"
_PASSWORD: Final = "password.not_carried"  # noqa: S105  # a code of the report
_ROLES: Final = {
    **dict.fromkeys(("owner", "superadmin", "superuser", "root"), "owner"),
    **dict.fromkeys(("admin", "administrator"), "admin"),
    **dict.fromkeys(("editor", "manager", "staff", "author", "creator"), "editor"),
    **dict.fromkeys(("analyst", "reporter"), "analyst"),
    **dict.fromkeys(("viewer", "user", "member", "reader", "guest", "readonly"), "viewer"),
}
_RANKS: Final = ("viewer", "analyst", "editor", "admin", "owner")
_INACTIVE: Final = frozenset(("inactive", "disabled", "suspended", "blocked", "banned", "deactivated"))
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Person:
    """An account in the making, with what was changed of it by pointer, and what has no place in it."""

    user: CarriedUser
    notes: Mapping[str, str]
    extra: dict[str, Any]


def translate(document: Document, *, owners: bool) -> Person:
    """The account of a document. Nobody owns a tenant by an import unless there may be `owners`."""
    members, notes = document.members, dict(document.notes)
    members.take("id", "v", "deleted", "isdeleted", "deletedat", "deletedon", "updatedat", "updated", "tenantid")
    email = _email(members)
    role = _role(members, notes)
    if role == "owner" and not owners:
        role = "admin"
        notes[members.place("role", "roles")] = "role.lowered"
    name = members.text("name", "fullname", "displayname") or " ".join(
        filter(None, (members.text("firstname", "givenname"), members.text("lastname", "familyname", "surname")))
    )
    name = name or members.text("username") or email.partition("@")[0]
    members.take("username")
    clean = "".join(letter for letter in name if letter.isprintable())[:_LONGEST_NAME].strip() or "-"
    user = CarriedUser(
        email=email,
        name=clean,
        role=role,
        active=_is_active(members),
        created_at=moment_of(members.take("createdat", "created", "datejoined")) or born(document.source_id),
    )
    extra = {}
    for name, value in members.left():
        if name == "_id":
            continue
        if is_secret(name):
            notes[f"/{name}"] = _PASSWORD if "pass" in name.lower() else "secret.left_out"
        else:
            notes[f"/{name}"] = "property.unknown"
            extra[name] = value
    return Person(user, notes, extra)


def renamed(person: Person, email: str) -> Person:
    """The account under another address."""
    notes = {**person.notes, "/email": RENAMED}
    return replace(person, user=replace(person.user, email=email), notes=notes)


def _email(members: Members) -> str:
    given = members.text("email", "mail", "emailaddress")
    for other in ("emails", "local", "profile"):
        for item in () if given else list_of(members.take(other)):
            inner = Members(item) if isinstance(item, dict) else None
            given = given or (inner.text("address", "email", "value") if inner else text_of(item))
    username = members.text("username")
    return given or (username if "@" in username else "")


def _role(members: Members, notes: dict[str, str]) -> str:
    place = members.place("role", "roles")
    given = [
        text_of(Members(item).take("name", "role")) if isinstance(item, dict) else text_of(item)
        for item in (*list_of(members.take("role")), *list_of(members.take("roles")))
    ]
    known = [
        _ROLES[each.lower().replace("_", "").replace("-", "")]
        for each in given
        if each.lower().replace("_", "").replace("-", "") in _ROLES
    ]
    if len(known) < len(given):
        notes[place] = "role.unknown"
    if truth_of(members.take("issuperuser", "issuperadmin")):
        known.append("owner")
    if truth_of(members.take("isadmin", "admin", "isstaff")):
        known.append("admin")
    return max(known, key=_RANKS.index, default="viewer")


def _is_active(members: Members) -> bool:
    given = members.text("status", "state").lower()
    active = truth_of(members.take("isactive", "active", "enabled"))
    off = truth_of(members.take("disabled", "isdisabled", "blocked", "isblocked", "suspended"))
    return given not in _INACTIVE and active is not False and off is not True
