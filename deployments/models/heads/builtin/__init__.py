"""The heads that come with the package: a folder for each, with its card, and what was trained here with the record of
its training."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol

from deployments.kit.vectors import Vectors
from deployments.models.errors import ModelMissing
from deployments.models.heads.builtin.english import EnglishHead
from deployments.models.heads.builtin.language import language_head
from deployments.models.heads.head import Head, HeadCard, Scores

FOLDER: Final = Path(__file__).parent


class Judge(Protocol):
    """What scores texts; may be called from several threads. `Head` is one."""

    card: HeadCard

    @property
    def needs_vectors(self) -> bool:
        """Whether `score` needs vectors."""
        ...

    def score(self, texts: Sequence[str], vectors: Vectors | None) -> Scores:
        """A probability for each label, float32 [texts, labels]."""
        ...


def _trained(name: str) -> Head:
    return Head((FOLDER / name / f"{name}.onnx").read_bytes())


_MADE: Final[Mapping[str, Callable[[], Judge]]] = {
    "language": language_head,
    "sentiment": lambda: EnglishHead(_trained("sentiment")),
    "spam": lambda: _trained("spam"),
    "toxicity": lambda: EnglishHead(_trained("toxicity")),
}

NAMES: Final = tuple(_MADE)
"""The built-in heads there are."""


@cache
def builtin(name: str) -> Judge:
    """The head of this name, loaded once in a process. Raises ModelMissing for a name that is none."""
    if name not in _MADE:
        raise ModelMissing(f"there is no built-in head {name!r}; there are {', '.join(NAMES)}")
    return _MADE[name]()
