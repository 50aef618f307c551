"""Files that jobs have made: looked at, fetched, handed on by a link, removed."""

from collections.abc import Callable
from dataclasses import dataclass

from deployments.exports.contracts import ExportsApi
from deployments.kit.contract import Contract
from deployments.reports.contracts import ReportsApi
from serve_app.edge.apis import Apis
from serve_app.edge.downloads import READ_HEADERS, download
from serve_app.edge.operations import Access, Exchange, Operation, Reply


@dataclass(frozen=True, kw_only=True)
class MadeFileOperations:
    """What can be done with one file of a kind, once it was ordered. `noun` comes with its article."""

    api: Callable[[Apis], ExportsApi | ReportsApi]
    noun: str
    scope: str
    media_type: str
    shown: type[Contract]
    link_order: type[Contract]
    link: type[Contract]
    who_removes: str = ""

    def operations(self) -> tuple[Operation, ...]:
        """Look at it, fetch it, make and follow a link to it, remove it."""
        name = self.noun.partition(" ")[2]
        one, tag = f"/api/v1/{name}s/{{{name}}}", f"{name.title()}s"

        async def get(x: Exchange) -> Reply:
            return Reply(await self.api(x.apis).get(x.principal, x.path[name]))

        async def fetch(x: Exchange) -> Reply:
            return download(x, await self.api(x.apis).open(x.principal, x.path[name]))

        async def create_link(x: Exchange) -> Reply:
            return Reply(await self.api(x.apis).create_link(x.principal, x.path[name], x.body))

        async def follow_link(x: Exchange) -> Reply:
            return download(x, await self.api(x.apis).open_link(x.principal, x.path[f"{name}_link"]))

        async def delete(x: Exchange) -> Reply:
            await self.api(x.apis).delete(x.principal, x.path[name])
            return Reply()

        return (
            Operation(
                id=f"get_{name}",
                per_form=True,
                method="GET",
                path=one,
                summary=self.noun.capitalize(),
                tag=tag,
                scope=self.scope,
                handler=get,
                response=self.shown,
            ),
            Operation(
                id=f"download_{name}",
                per_form=True,
                method="GET",
                path=f"{one}/download",
                summary=f"Fetch {self.noun}",
                description="Takes ranges. Each fetch is in the audit trail.",
                tag=tag,
                scope=self.scope,
                rate="export",
                handler=fetch,
                response=bytes,
                response_media_type=self.media_type,
                headers=READ_HEADERS,
                errors=(206, 304, 409, 416),
            ),
            Operation(
                id=f"create_{name}_link",
                per_form=True,
                method="POST",
                path=f"{one}/link",
                summary=f"Make a link to {self.noun}",
                description="Whoever has the link can fetch the file, without a credential, until it expires.",
                tag=tag,
                scope=self.scope,
                handler=create_link,
                request=self.link_order,
                response=self.link,
                status=201,
                errors=(409,),
                example={"expires_in": 3600},
            ),
            Operation(
                id=f"follow_{name}_link",
                method="GET",
                path=f"/api/v1/{name}-links/{{tenant}}/{{{name}_link}}",
                summary=f"Fetch {self.noun} by its link",
                tag="Public",
                scope=Access.PUBLIC,
                rate="export",
                handler=follow_link,
                response=bytes,
                response_media_type=self.media_type,
                headers=READ_HEADERS,
                errors=(206, 304, 404, 416),
            ),
            Operation(
                id=f"delete_{name}",
                per_form=True,
                method="DELETE",
                path=one,
                summary=f"Remove {self.noun}",
                description=self.who_removes,
                tag=tag,
                scope=self.scope,
                handler=delete,
                status=204,
            ),
        )
