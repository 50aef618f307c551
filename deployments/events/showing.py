"""What of an event is for whom. Seeing events is one permission; what they tell of people needs the one for that."""

from dataclasses import dataclass
from typing import Any, Final

from deployments.events.contracts import Event
from deployments.kit.principal import Principal

READ: Final = "events:read"
_AUDIT: Final = "audit:read"
_PEOPLE: Final = "users:read"
_PERSONAL: Final = "responses:read_personal"

NEEDED: Final = {
    "answers": _PERSONAL,
    "email": _PEOPLE,
    "previous_email": _PEOPLE,
    "subject": _PEOPLE,
}
"""Members of `data` by name, in every type, and the permission that each needs."""

NEEDED_BY_TYPE: Final = {
    "file.uploaded": {"name": _PERSONAL},
    "file.rejected": {"name": _PERSONAL},
    "inference.completed": {"results": _PERSONAL},
}
"""The same for names that only mean something personal in some types."""

_CIRCUMSTANCES: Final = ("address", "user_agent")


@dataclass(frozen=True, slots=True)
class View:
    """What of an event somebody gets to see: equal views show the same."""

    audit: bool
    people: bool
    personal: bool


def may_see(principal: Principal, form_id: str | None) -> bool:
    """Whether an event of this form, or of none, is for the principal at all."""
    return principal.may(READ, form_id)


def view_of(principal: Principal, form_id: str | None) -> View:
    """How the principal sees events of this form, or of none."""
    return View(principal.may(_AUDIT), principal.may(_PEOPLE), principal.may(_PERSONAL, form_id))


def shown(event: Event, view: View) -> Event:
    """The event as it is seen: what is not for the reader is null and named in `hidden`."""
    held = {_PEOPLE: view.people, _PERSONAL: view.personal}
    needed = NEEDED | NEEDED_BY_TYPE.get(event.type, {})
    members = [name for name in event.data if name in needed and not held[needed[name]]]
    circumstances = () if view.audit else _CIRCUMSTANCES
    changes: dict[str, Any] = dict.fromkeys(circumstances)
    if members:
        changes["data"] = event.data | dict.fromkeys(members)
    hidden = [*(f"/{name}" for name in circumstances), *(f"/data/{name}" for name in members)]
    return event.model_copy(update=changes | {"hidden": hidden}) if hidden else event
