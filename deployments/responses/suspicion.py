"""What a response was taken for spam for, as its column holds it: the names of the signs, and the score beside them."""

from dataclasses import dataclass
from typing import Final, Self

BY_HAND: Final = "by_hand"
AI: Final = "ai"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The signs, none for a response that is not suspected. `score`: the probability of spam that the model gave."""

    signs: tuple[str, ...] = ()
    score: float | None = None

    @classmethod
    def read(cls, column: str | None) -> Self:
        """What the column says: words, of which a number is the score. No sign is a number."""
        words = (column or "").split()
        scores = [float(word) for word in words if word[0].isdigit()]
        return cls(tuple(word for word in words if not word[0].isdigit()), scores[0] if scores else None)

    def column(self) -> str:
        """What the column is to say."""
        return " ".join([*self.signs, *([] if self.score is None else [f"{self.score:.4f}"])])

    @property
    def was_announced(self) -> bool:
        """Whether it came upon a response that others had been told of; other signs are seen before that."""
        return any(sign in _LATER for sign in self.signs)


_LATER: Final = frozenset({BY_HAND, AI})
