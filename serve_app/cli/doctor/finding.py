"""What a look at one thing found."""

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad it is: an error keeps something from working or makes it unsafe, a warning may do so later."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and its outcome; `cure` says how to mend what is not well."""

    check: str
    severity: Severity
    says: str
    cure: str = ""


def fine(check: str, says: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check, Severity.OK, says)


def doubtful(check: str, says: str, cure: str) -> Finding:
    """It works, but hardly as it was meant."""
    return Finding(check, Severity.WARNING, says, cure)


def wrong(check: str, says: str, cure: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(check, Severity.ERROR, says, cure)
