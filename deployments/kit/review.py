"""How far people have come with a response."""

from typing import Literal, TypeAlias

ReviewState: TypeAlias = Literal["none", "in_review", "approved", "rejected", "has_issues"]
