"""N: mails say what happened, whatever people typed, and nothing that they typed becomes a header or markup."""

import email
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from deployments.kit.errors import Invalid
from deployments.notifications.message import Content, build, render

WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = "<evt_1.rcp_2@formstream>"


def notification(title: str = "Party", answers: Sequence[tuple[str, str]] = (("Name", "Zoë"),)) -> Content:
    values = {"form_title": title, "submitted_at": WHEN, "answers": answers}
    return render("response_notification", values)


def make(content: Content | None = None, **changed: str | None) -> EmailMessage:
    fields = {"sender": "Formstream <no-reply@example.com>", "to": "ada@example.com", "message_id": ID} | changed
    return build(content or notification(), date=WHEN, **fields)  # type: ignore[arg-type]


def arrived(message: EmailMessage) -> EmailMessage:
    """The message as a receiver reads it from the wire."""
    read = email.message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    assert isinstance(read, EmailMessage)
    assert read.defects == []
    return read


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


class TestNotification:
    def test_it_names_the_form_the_time_and_every_answer(self) -> None:
        read = arrived(make(notification("Party", [("Name", "Zoë"), ("Wishes", "cake\ntea")])))
        assert read["Subject"] == "New response: Party"
        assert part(read, "plain") == (
            'New response to "Party"\nReceived 2030-01-02 03:04 UTC\n\nName\n    Zoë\n\nWishes\n    cake\n    tea\n\n'
        )
        html = part(read, "html")
        for text in ("Party", "2030-01-02 03:04 UTC", "Name", "Zoë", "Wishes", "cake\ntea"):
            assert text in html

    def test_a_response_without_answers_says_so(self) -> None:
        content = notification(answers=[])
        assert "no answers" in content.text
        assert "no answers" in content.html

    def test_answers_are_escaped_in_html_and_verbatim_in_text(self) -> None:
        evil = "<script>alert(1)</script> & \"'{{ 7*7 }}{% raw %}"
        content = notification(evil, [(evil, evil)])
        assert "<script" not in content.html
        assert "{{ 7*7 }}" in content.html
        assert content.html.count("&lt;script&gt;") == 4
        assert evil in content.text
        assert evil in content.subject

    def test_it_contains_no_link(self) -> None:
        content = notification()
        for text in (content.text, content.html):
            assert "href" not in text
            assert "://" not in text

    def test_a_forgotten_value_is_an_error_and_not_a_gap(self) -> None:
        with pytest.raises(UndefinedError):
            render("response_notification", {"form_title": "x", "submitted_at": WHEN})


class TestHeaders:
    def test_it_is_marked_as_automatic_and_recognisable(self) -> None:
        read = arrived(make())
        assert read["Message-ID"] == ID
        assert read["Date"].datetime == WHEN
        assert read["Auto-Submitted"] == "auto-generated"
        assert read["From"] == "Formstream <no-reply@example.com>"
        assert read["To"] == "ada@example.com"
        assert read["List-Unsubscribe"] is None
        assert read.get_content_type() == "multipart/alternative"

    def test_the_same_arguments_give_the_same_bytes(self) -> None:
        assert make().as_bytes() == make().as_bytes()

    @pytest.mark.parametrize("token", ["a" * 300, "=?utf-8?q?=0D=0ABcc:_x?="])
    def test_an_unsubscribe_address_stays_as_it_is_on_the_wire(self, token: str) -> None:
        url = f"https://example.com/unsubscribe?token={token}"
        wire = make(unsubscribe_url=url).as_bytes(policy=SMTP)
        assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in wire
        assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in wire

    @pytest.mark.parametrize(
        "title",
        [
            "Party\r\nBcc: eve@example.com",
            "Party\nBcc: eve@example.com",
            "Party\r\n\r\n<html>",
            "=?utf-8?q?=0D=0ABcc:_eve@example.com=0D=0A=0D=0A?= x",
            "P\u2028B\x85C\x00D\x0bE",
        ],
    )
    def test_a_title_cannot_add_a_header(self, title: str) -> None:
        read = arrived(make(notification(title)))
        assert sorted(read.keys()) == sorted(arrived(make()).keys())
        assert read["Subject"] == "New response: " + " ".join(title.replace("\0", " ").split())

    @pytest.mark.parametrize(
        "title", ["Überraschung 🎉 パーティー " * 20, "a" * 3000, "plain words " * 200, "=?utf-8?q?=0D=0ABcc?= x"]
    )
    def test_a_title_survives_in_any_script_and_length(self, title: str) -> None:
        message = make(notification(title))
        assert arrived(message)["Subject"] == f"New response: {title}".strip()
        assert all(len(line) <= 998 for line in message.as_bytes(policy=SMTP).split(b"\r\n"))

    @pytest.mark.parametrize("field", ["to", "sender"])
    @pytest.mark.parametrize(
        "mailbox",
        [
            *("", " ", "ada", "ada@", "@example.com", "ada@example.com, eve@example.com", "a b@example.com"),
            *("ada@example.com\r\nBcc: eve@example.com", "ada@example.com\nBcc: x", "Ada\r\n <ada@example.com>"),
            *("ada@example.com\x00", "ada@exa mple.com", "<ada@example.com", "friends: ada@example.com;"),
            *("friends:;", "ada@@example.com", "zoë@example.com", "ada@-é-.example", "Ada <>", "ada@example.com;"),
            *("=?utf-8?q?=0D=0ABcc:_x?= <ada@example.com>", "=?utf-8?q?a=00b?= <ada@example.com>"),
        ],
    )
    def test_anything_but_one_mailbox_is_refused(self, field: str, mailbox: str) -> None:
        with pytest.raises(Invalid) as caught:
            make(None, **{field: mailbox})
        (fault,) = caught.value.faults
        assert (fault.pointer, fault.code) == (f"/{field}", "format.email")

    @pytest.mark.parametrize(
        ("given", "display_name", "address"),
        [
            ("Ada <ada@example.com>", "Ada", "ada@example.com"),
            ('"Lovelace, Ada" <ada@example.com>', "Lovelace, Ada", "ada@example.com"),
            ("Zoë Ünal <z@example.com>", "Zoë Ünal", "z@example.com"),
            ("z@bücher.example", "", "z@xn--bcher-kva.example"),
            ("root@localhost", "", "root@localhost"),
            ("a.b+c_d@sub.example.co", "", "a.b+c_d@sub.example.co"),
        ],
    )
    def test_a_mailbox_arrives_as_it_was_meant(self, given: str, display_name: str, address: str) -> None:
        (read,) = arrived(make(to=given))["To"].addresses
        assert (read.display_name, read.addr_spec) == (display_name, address)

    @pytest.mark.parametrize("message_id", ["", "evt_1@x", "<evt_1>", "<a b@x>", "<a@x>\r\nBcc: e@x", "<a@x\n>"])
    def test_a_message_id_that_is_none_is_a_mistake(self, message_id: str) -> None:
        with pytest.raises(ValueError):
            make(message_id=message_id)

    @pytest.mark.parametrize("url", ["http://x.example/", "https://x/\r\nBcc: e@x", "https://x/>,<mailto:e@x", ""])
    def test_an_unsubscribe_address_that_is_no_plain_https_url_is_a_mistake(self, url: str) -> None:
        with pytest.raises(ValueError):
            make(unsubscribe_url=url)

    @given(st.text(max_size=40) | st.text('ab@.,;:<>()[]"\\é\r\n\t -=?', max_size=30))
    def test_any_text_is_one_mailbox_or_refused(self, mailbox: str) -> None:
        try:
            message = make(to=mailbox)
        except Invalid:
            return
        read = arrived(message)
        assert sorted(read.keys()) == sorted(make().keys())
        assert len(read["To"].addresses) == 1


class TestBody:
    def test_no_line_of_a_body_can_end_its_part(self) -> None:
        boundary = make().get_boundary()
        text = f"x\n--{boundary}--\nContent-Type: text/html\n\n<b>\n"
        read = arrived(make(Content("s", text, text)))
        assert [p.get_content_type() for p in read.walk()] == ["multipart/alternative", "text/plain", "text/html"]
        assert part(read, "plain") == part(read, "html") == text

    @given(
        title=st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
        answer=st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
    )
    def test_any_text_makes_a_sound_message(self, title: str, answer: str) -> None:
        read = arrived(make(notification(title, [("Q", answer)])))
        assert read.keys() == make().keys()
        assert read["Subject"] == make(notification(title))["Subject"]
        assert len(list(read.walk())) == 3
        assert all(len(line) <= 998 for line in read.as_bytes(policy=SMTP).split(b"\r\n"))
