"""The words that identity's contracts are made of."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

TENANT_ID: Final = r"^[a-z0-9][a-z0-9_-]{1,62}$"
TenantId = Annotated[str, Field(pattern=TENANT_ID, description="Slug of the tenant.")]
# Without control characters: PostgreSQL cannot store NUL, and a name ends up in mail headers and log lines.
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
NewPassword = Annotated[str, Field(min_length=10, max_length=256, description="At least 10 characters.")]
Switch = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Name of a route class or feature.")]
WebOrigin = Annotated[
    str,
    Field(
        pattern=r"^(\*|https?://[A-Za-z0-9.\[\]:-]{1,253})$",
        description="An origin as browsers send it (RFC 6454 §6.2), or `*` for any.",
    ),
]
Locale = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$", description="Language tag (RFC 5646).")
]
HostName = Annotated[
    str,
    Field(
        max_length=253,
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="A host name in lower case, in ASCII (RFC 1123 §2.1, RFC 5890).",
    ),
]
RouteClass = Literal["submit", "auth", "import", "export", "sql", "api"]
"""What rate limits tell apart: submissions, getting in, imports, exports, statements of SQL, and everything else."""

Role = Literal["owner", "admin", "editor", "analyst", "viewer", "guest"]

LinkToken = Annotated[str, Field(max_length=512, description="What follows `#token=` in the link of a letter.")]

FormRole = Literal["viewer", "analyst", "editor"]
