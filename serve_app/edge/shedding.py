"""Shedding at the door: who was just told that there is no room is told so again, before their request is read, until
there is.

A refusal costs an edge more than a submission does, since nothing of it is shared with others: at three times what a
platform can do, it would do little but refuse.
"""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

from sanic import Request
from sanic.headers import format_http1_response

from serve_app.edge.answer import Answer

_LIFE_S: Final = 1.0
"""A refusal is read anew so often, whatever there is room for: who asks may not be let in at all any more."""

_CAPACITY: Final = 1_000
_END: Final = b"\r\n\r\n"
_DECIDES: Final = (b"host", b"authorization", b"origin", b"x-tenant-id", b"x-forwarded-host")
"""What tells who asks, for which tenant, and who may read the answer."""

_PARTICULAR: Final = (b"\r\ncookie:", b"\r\nexpect:", b"\r\ntransfer-encoding:", b"\r\nconnection: close")


class _Refusal(NamedTuple):
    until: float
    has_room: Callable[[], bool]
    operation: str
    status: int
    answer: bytes


class Shedding:
    """The refusals that still hold: answers for whoever asks the same of the same tenant with the same credential."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._refusals: OrderedDict[bytes, _Refusal] = OrderedDict()

    def note(self, request: Request, operation: str, answer: Answer, has_room: Callable[[], bool]) -> None:
        """There is no room for this request, nor for others like it, until `has_room` tells so."""
        key = _key(bytes(request.head))
        if key is None or request.method == "HEAD":
            return
        headers = ((b"content-length", b"%d" % len(answer.body or b"")), *answer.processed_headers)
        whole = format_http1_response(answer.status, headers) + (answer.body or b"")
        self._refusals[key] = _Refusal(self._clock() + _LIFE_S, has_room, operation, answer.status, whole)
        self._refusals.move_to_end(key)
        while len(self._refusals) > _CAPACITY:
            self._refusals.popitem(last=False)

    def refusal(self, data: bytes) -> tuple[str, int, bytes] | None:
        """The operation, the status and the whole answer for one whole request, when it is to be refused unread."""
        if not self._refusals:
            return None
        end = data.find(_END)
        key = _key(data[:end]) if end > 0 else None
        if key is None or (found := self._refusals.get(key)) is None:
            return None
        if self._clock() > found.until or found.has_room():
            del self._refusals[key]
            return None
        length = _value(data[:end], data[:end].lower(), b"content-length") or b"0"
        if not length.isdigit() or len(data) != end + len(_END) + int(length):
            return None
        return found.operation, found.status, found.answer


def _key(head: bytes) -> bytes | None:
    """What a request has in common with others that get the same refusal; None when that cannot be told from here."""
    lowered = head.lower()
    line, _, _ = head.partition(b"\r\n")
    if not line.endswith(b" HTTP/1.1") or any(word in lowered for word in _PARTICULAR):
        return None
    return b"\n".join([line, *(_value(head, lowered, name) for name in _DECIDES)])


def _value(head: bytes, lowered: bytes, name: bytes) -> bytes:
    """The value of a header field, empty when there is none."""
    begin = lowered.find(b"\r\n" + name + b":")
    if begin < 0:
        return b""
    begin += len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else len(head)].strip()
