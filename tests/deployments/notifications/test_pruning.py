"""Mails are not kept for ever."""

from datetime import timedelta

from db.models.notifications import Mail, Mailing
from db.session import Database
from db.types import new_id, utc_now
from deployments.notifications.pruning import PruneMails
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant


async def test_mails_are_forgotten_with_their_mailings(database: Database) -> None:
    """N1: of every tenant, what was asked for before the time that is kept, however many; a mailing with its last."""
    now, kept = utc_now(), set()
    for tenant_id in ("acme", "globex"):
        form = await make_form(database, await make_tenant(database, tenant_id))
        async with database.write(tenant_id) as unit:
            for age in (29, 31, 400):
                at, mailing_id = now - timedelta(days=age), new_id("mlg")
                unit.session.add(
                    Mailing(
                        tenant_id=tenant_id,
                        id=mailing_id,
                        form_id=form.id,
                        template="invitation",
                        gathered=True,
                        created_by="usr_1",
                        created_at=at,
                    )
                )
                await unit.session.flush()
                for of in (None, mailing_id):
                    mail = Mail(
                        tenant_id=tenant_id,
                        id=new_id("mail"),
                        template="invitation",
                        cause=f"{of}:{age}",
                        recipient="ada@example.org",
                        subject="",
                        state="sent",
                        mailing_id=of,
                        created_at=at,
                    )
                    unit.session.add(mail)
                    if age == 29:
                        kept |= {mail.id, mailing_id}
    done = await PruneMails(database, timedelta(days=30), at_once=3).run(attempt("acme", {}))
    assert done.result == {"mails": 8, "mailings": 4}
    assert {row.id for row in (*await rows(database, Mail), *await rows(database, Mailing))} == kept
