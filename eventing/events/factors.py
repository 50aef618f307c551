"""Facts about second factors and telephone numbers of people."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorAdded(EventData):
    """A person has a second factor more: `totp`, `sms` or `email`."""

    type: ClassVar[str] = "user.factor_added"
    entity: ClassVar[str] = "user_id"
    user_id: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRemoved(EventData):
    """A person has a second factor less: `totp`, `sms` or `email`."""

    type: ClassVar[str] = "user.factor_removed"
    entity: ClassVar[str] = "user_id"
    user_id: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodesRenewed(EventData):
    """A person has new recovery codes; the earlier ones are worthless."""

    type: ClassVar[str] = "user.recovery_codes_renewed"
    entity: ClassVar[str] = "user_id"
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodeUsed(EventData):
    """A person got in with a recovery code; so many are left."""

    type: ClassVar[str] = "user.recovery_code_used"
    entity: ClassVar[str] = "user_id"
    user_id: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneChanged(EventData):
    """A person verified a telephone number, or has none any more."""

    type: ClassVar[str] = "user.phone_changed"
    entity: ClassVar[str] = "user_id"
    user_id: str
    present: bool
