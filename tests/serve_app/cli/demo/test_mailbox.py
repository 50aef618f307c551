"""The demo reads the mail of its own recipient."""

import threading
from email.message import EmailMessage
from pathlib import Path

from serve_app.cli.demo.mailbox import Mailbox


def _write(folder: Path, name: str, recipient: str) -> Path:
    message = EmailMessage()
    message["To"], message["Subject"] = recipient, f"New response {name}"
    message.set_content("…")
    path = folder / f"{name}.eml"
    path.write_bytes(message.as_bytes())
    return path


def test_only_the_recipients_mail_counts(tmp_path: Path) -> None:
    path = _write(tmp_path, "one", "host@example.com")
    _write(tmp_path, "two", "somebody@example.com")
    assert Mailbox(tmp_path, "host@example.com").wait(1, 5.0) == {path: "New response one"}


def test_what_did_not_come_in_time_is_missing(tmp_path: Path) -> None:
    _write(tmp_path, "one", "host@example.com")
    assert len(Mailbox(tmp_path, "host@example.com").wait(2, 0.0)) == 1
    assert Mailbox(tmp_path / "no-such-folder", "host@example.com").wait(1, 0.0) == {}


def test_a_folder_that_the_first_mail_makes_is_waited_for(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "mail", "host@example.com")
    maker = threading.Timer(0.3, (tmp_path / "mail").mkdir)
    maker.start()
    assert mailbox.appears(10.0)
    maker.join()
    assert mailbox.appears(0.0)


def test_without_data_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    assert not Mailbox(tmp_path / "elsewhere" / "mail", "host@example.com").appears(60.0)
    assert not Mailbox(tmp_path / "mail", "host@example.com").appears(0.0)
