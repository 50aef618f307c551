"""What the tests of files share: forms that ask for files, and files to send."""

import io
import random
from typing import Any

import httpx
from PIL import Image

from db.models.forms import Form, FormCounter, FormVersion
from db.session import Database
from db.types import new_id, utc_now

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF"


async def ask_for_files(
    database: Database,
    *elements: dict[str, Any],
    tenant_id: str = "acme",
    slug: str = "party",
    settings: dict[str, Any] | None = None,
) -> str:
    """A published form with these elements, by default one that takes any file; its id."""
    form_id, now = new_id("frm"), utc_now()
    given = elements or ({"id": "cv", "type": "file", "title": "CV", "max_files": 10},)
    definition = {"pages": [{"id": "p1", "elements": [{"title": "?", **element} for element in given]}]}
    shared = {"tenant_id": tenant_id, "title": "Party", "definition": definition}
    async with database.write(tenant_id) as unit:
        unit.session.add(
            Form(
                **shared,
                id=form_id,
                slug=slug,
                status="published",
                settings=settings or {},
                published_version=1,
                created_by="usr_1",
                created_at=now,
                updated_at=now,
            )
        )
        await unit.session.flush()
        unit.session.add(FormVersion(**shared, form_id=form_id, version=1, published_by="usr_1", published_at=now))
        unit.session.add(FormCounter(tenant_id=tenant_id, form_id=form_id))
    return form_id


async def send(
    client: httpx.AsyncClient, content: bytes, name: str = "notes.txt", field: str = "cv", path: str = ""
) -> httpx.Response:
    """Send a file as a form, to the public form unless another address is given."""
    return await client.post(
        path or "/api/v1/public/acme/party/files", data={"field": field}, files={"file": (name, content)}
    )


def noise(size: int) -> bytes:
    """A text of so many bytes that is like no other."""
    return random.Random(size).randbytes(size // 2).hex().encode().ljust(size, b".")


def photo(kind: str = "JPEG", size: tuple[int, int] = (40, 20), mode: str = "RGB") -> bytes:
    """A picture that tells where it was taken and by whom, lying on its side."""
    image = Image.new(mode, size, "white")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x0112] = "SECRET DESCRIPTION", "SECRET ARTIST", 6
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    file = io.BytesIO()
    image.save(file, kind, exif=exif, comment=b"SECRET COMMENT")
    return file.getvalue()
