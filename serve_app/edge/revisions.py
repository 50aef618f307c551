"""Entity tags (RFC 9110 §8.8.3): what they look like, and what the conditional headers mean."""

import re

from deployments.kit.errors import PreconditionFailed

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')


def entity_tag(revision: int, mark: str = "") -> str:
    """The strong entity tag of a revision."""
    return f'"{revision}-{mark}"' if mark else f'"{revision}"'


def revision_of(if_match: str | None) -> int | None:
    """The revision that an If-Match header names; None without a condition.

    Raises PreconditionFailed for a tag that no revision ever had.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None or not found[1].isdigit() or len(found[1]) > 15:
        raise PreconditionFailed
    return int(found[1])


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether an If-None-Match header names the tag, by weak comparison."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.strip('"') in _TAG.findall(if_none_match)
