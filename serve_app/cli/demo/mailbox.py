"""The folder where a platform without a mail server leaves its messages."""

import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path

_POLL_S = 0.2


class Mailbox:
    """The messages to one recipient."""

    def __init__(self, folder: Path, recipient: str) -> None:
        self._folder = folder
        self._recipient = recipient

    def appears(self, timeout_s: float) -> bool:
        """Whether the folder is there in time: the first mail makes it. At once no without any data."""
        deadline = time.monotonic() + timeout_s
        while self._folder.parent.is_dir():
            if self._folder.is_dir():
                return True
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
        return False

    def wait(self, number: int, timeout_s: float) -> dict[Path, str]:
        """The subjects by file, when there are `number` of them, else those that came in time."""
        deadline = time.monotonic() + timeout_s
        while len(found := self._subjects()) < number and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return found

    def _subjects(self) -> dict[Path, str]:
        found = {}
        for path in sorted(self._folder.glob("*.eml")):
            try:
                message = message_from_bytes(path.read_bytes(), policy=default)
            except FileNotFoundError:
                continue
            if self._recipient in str(message["to"]):
                found[path] = str(message["subject"])
        return found
