"""What a generating model is told, and what of its words is believed.

The material is data: it stands between marks that nobody who wrote it can know (`deployments.models.generation`), and
whatever it says, the answer is checked: a citation has to be one of those that were given, an address has to stand in
the material, and nothing is longer than what was asked for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deployments.inference.generate_contracts import Citation, Generation
from deployments.kit.errors import DeadlineExceeded, Unavailable
from deployments.models.contracts import Generated, ModelsApi, Prompt

MAX_WRITTEN: Final = 8_000
"""Most characters of what a model wrote."""

_MARK: Final = re.compile(r"\s*\[(\d{1,4})\]")
_LINK: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.)[^\s<>()\[\]\"'”]+|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]+", re.IGNORECASE
)
_MARKDOWN: Final = re.compile(r"!?\[([^\]\n]{0,200})\]\(([^)\n]{0,2000})\)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SUMMARY: Final = (
    "Write a short summary of what people answered. Each item of the material is one topic with its number of answers "
    "and quotes; each quote ends with its number in brackets. Support every statement with such a number, as in [1]. "
    "State nothing that the material does not say."
)
_REPLY: Final = (
    "Write a polite reply to the message, which is the first item of the material. Say only what the second item, the "
    "approved text, says; keep its facts, names and amounts."
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of a model's words, the citations that they use, and what was taken out."""

    text: str
    citations: tuple[int, ...]
    notes: tuple[str, ...]


async def written(
    models: ModelsApi, extract: Generation, messages: Sequence[str], language: str | None, max_tokens: int
) -> Generation:
    """The extract in a model's words; where no model can write, the extract itself, which says why."""
    if not extract.citations:
        return extract.model_copy(update={"fallback_reason": "nothing_to_write_about"})
    material = _material(extract, messages)
    instruction = _SUMMARY if extract.task == "summary" else _REPLY
    if language is not None:
        instruction += f" Write in the language {language}."
    try:
        answer = await models.generate(Prompt(instruction=instruction, material=material, max_tokens=max_tokens))
    except DeadlineExceeded:
        return extract.model_copy(update={"fallback_reason": "model.too_slow"})
    except Unavailable as error:
        return extract.model_copy(update={"fallback_reason": error.code})
    return believed(extract, answer, material)


def believed(extract: Generation, answer: Generated, material: Sequence[str]) -> Generation:
    """What a model wrote in place of the extract, if anything is left of it that the material supports."""
    known = len(extract.citations) if extract.task == "summary" else 0
    checked = check(answer.text, material, known)
    if not checked.text or (extract.task == "summary" and not checked.citations):
        reason = "model.no_text" if not checked.text else "model.no_citation"
        return extract.model_copy(update={"fallback_reason": reason, "notes": [*extract.notes, *checked.notes]})
    return extract.model_copy(
        update={
            "text": checked.text,
            "method": "model",
            "model": answer.model,
            "notes": [*extract.notes, *checked.notes],
        }
    )


def check(text: str, material: Sequence[str], citations: int) -> Checked:
    """Take out of a text what nobody gave: citations beyond the number of `citations`, addresses that are not in the
    material, characters that hide something."""
    notes: list[str] = []
    plain = _CONTROL.sub("", text).strip()
    if len(plain) > MAX_WRITTEN:
        plain = plain[:MAX_WRITTEN].rsplit(" ", 1)[0]
        notes.append(f"The text was cut after {MAX_WRITTEN} characters.")
    plain = _MARKDOWN.sub(r"\1 \2", plain)
    given = {_bare(link) for item in material for link in _LINK.findall(item)}
    strange = [link for link in _LINK.findall(plain) if _bare(link) not in given]
    if strange:
        plain = _LINK.sub(lambda match: match[0] if _bare(match[0]) in given else "", plain)
        notes.append(f"{len(strange)} addresses were taken out: they are not in the material.")
    invented = [number for number in map(int, _MARK.findall(plain)) if not 1 <= number <= citations]
    if invented and citations:
        notes.append(f"{len(invented)} citations were taken out: there are no such sources.")
    plain = _MARK.sub(lambda match: match[0] if 1 <= int(match[1]) <= citations else "", plain)
    used = tuple(dict.fromkeys(map(int, _MARK.findall(plain))))
    return Checked(plain.strip(), used, tuple(notes))


def _bare(link: str) -> str:
    return link.rstrip(".,;:!?").casefold()


def _material(extract: Generation, messages: Sequence[str]) -> tuple[str, ...]:
    if extract.task == "reply":
        return ("\n".join(messages)[:6_000], extract.text[:6_000])
    items: list[str] = []
    for topic in extract.topics:
        quotes = " ".join(_numbered(number, extract.citations[number - 1]) for number in topic.citations)
        items.append(f"{topic.name} ({topic.count} answers): {quotes}")
    return tuple(items)


def _numbered(number: int, citation: Citation) -> str:
    # A bracket in a quote could pass for the number of another one.
    return f"“{_MARK.sub('', citation.quote)}” [{number}]"
