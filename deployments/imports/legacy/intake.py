"""What the import needs of the contexts: each takes in what is its own, by its rules, in the import's transaction."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from db.session import UnitOfWork
from deployments.files.contracts import CarriedFile
from deployments.forms.contracts import CarriedForm
from deployments.identity.contracts import CarriedUser, TenantSettings
from deployments.kit.carrying import Carried, TakenBack
from deployments.kit.file_fields import FileField
from deployments.kit.principal import Principal
from deployments.responses.contracts import CarriedResponse


class People(Protocol):
    """See `deployments/identity/carrying.py`."""

    async def make_tenant(
        self, unit: UnitOfWork, principal: Principal, name: str, settings: TenantSettings
    ) -> None: ...

    async def raise_quotas(self, unit: UnitOfWork, principal: Principal, quotas: Mapping[str, int]) -> None: ...

    def normal_email(self, email: str) -> str: ...

    async def find(self, unit: UnitOfWork, emails: Collection[str]) -> dict[str, str]: ...

    async def take_in(self, unit: UnitOfWork, principal: Principal, new: Sequence[CarriedUser]) -> list[Carried]: ...

    async def checksums(self, unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]: ...

    async def take_back(self, unit: UnitOfWork, principal: Principal, made: Sequence[tuple[str, str]]) -> TakenBack: ...


class Forms(Protocol):
    """See `deployments/forms/carrying.py`."""

    async def count(self, unit: UnitOfWork) -> int: ...

    async def is_free(self, unit: UnitOfWork, slug: str) -> bool: ...

    async def take_in(self, unit: UnitOfWork, principal: Principal, form: CarriedForm) -> tuple[Carried, list[int]]: ...

    async def checksums(self, unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]: ...

    async def take_back(self, unit: UnitOfWork, principal: Principal, form_id: str, stored: str, actor: str) -> str: ...


class Responses(Protocol):
    """See `deployments/responses/carrying.py`."""

    async def take_in(
        self, unit: UnitOfWork, principal: Principal, responses: Sequence[CarriedResponse]
    ) -> list[Carried]: ...

    async def checksums(self, unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]: ...

    async def take_back(
        self, unit: UnitOfWork, principal: Principal, form_id: str, ids: Collection[str]
    ) -> TakenBack: ...


class Files(Protocol):
    """See `deployments/files/carrying.py`."""

    async def put(
        self, tenant_id: str, form_id: str, field: FileField, source: str, name: str, pieces: AsyncIterator[bytes]
    ) -> CarriedFile | str: ...

    async def take_in(self, unit: UnitOfWork, principal: Principal, file: CarriedFile) -> Carried: ...

    async def checksums(self, unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Intake:
    """The four of them."""

    people: People
    forms: Forms
    responses: Responses
    files: Files
