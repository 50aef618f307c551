"""Reads a prompt: what the form is called, and what it is to ask, in the words of whoever wrote it.

Three ways of asking are understood, in this order: a list, one question a line; questions, each ending in a question
mark; a sentence that says what to ask for, with commas. A prompt that asks in none of them says only what the form is
about.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

MAX_QUESTIONS: Final = 100
MAX_TITLE: Final = 300

_TRIED: Final = 20

_ITEM: Final = re.compile(r"^(\s*)(?:\(?\d{1,3}[.):]|[-*•–—▪◦]|\(?[a-z]\))\s+(.*\S)\s*$", re.IGNORECASE)
_HIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_ASKING: Final = re.compile(
    r"\b(?:(?:it |which |that |and )?(?:should |must |to |please )?(?:asks?|asking|collects?|collecting|includes?|"
    r"including|contains?|containing|requests?|requesting|gathers?)(?: (?:people|them|users?|guests?|customers?|"
    r"visitors?|the \w+))?(?: for| about)?(?: their| the| your| his or her)?"
    r"|with (?:the )?(?:following )?(?:fields?|questions?)(?: for| about| on)?|fields?|questions?(?: about| on)?|with"
    r"|(?:bitte )?(?:frage?t?|fragen|abfragen?|erfass\w*|sammel\w*|enthält|enthalten|felder|fragen)"
    r"(?: (?:bitte )?(?:nach|zu|für|über))?(?: (?:dem|der|den|ihrem|ihrer))?"
    r"|mit(?: (?:den )?(?:folgenden )?(?:feldern|fragen))?(?: für| zu| nach)?)\b\s*:?\s+",
    re.IGNORECASE,
)
_CREATING: Final = re.compile(
    r"^\s*(?:please |bitte )?(?:can you |could you |i(?:'d)? (?:need|want|would like)|we (?:need|want)|"
    r"ich (?:brauche|möchte|will)|wir (?:brauchen|möchten)|create|make|build|generate|design|draft|write|prepare|"
    r"erstell\w*|mach\w*|bau\w*|generier\w*|entwirf)(?: (?:me|us|mir|uns))?(?: (?:an?|the|eine?n?|das|die|den))?\s+",
    re.IGNORECASE,
)
# German puts the verb last: "das nach Name und Alter fragt".
_VERB_LAST: Final = re.compile(
    r",?\s*\b(?:d(?:as|ie|er)|in dem|wo(?:rin)?)\s+(?:nach\s+)?([^.!?\n]{1,2000}?)\s+(?:ab)?(?:fragt"
    r"|gefragt wird|gefragt werden"
    r"|fragen soll|erfasst|sammelt|enthält)\b\.?",
    re.IGNORECASE,
)
_JOINTS: Final = re.compile(
    r"\s*[,;]\s*(?:and\s+|und\s+|or\s+|plus\s+|as well as\s+|sowie\s+)?|\s+(?:and|und|plus|as well as|sowie"
    r"|then|dann)\s+",
    re.IGNORECASE,
)
# "and" within these joins no two questions.
_WHOLE: Final = re.compile(
    r"\([^()]*\)|\[[^\[\]]*\]|“[^”]*”|\"[^\"]*\"|\bfirst and last names?\b|\b(?:date|day) and time\b"
    r"|\bdatum und uhrzeit\b"
    r"|\bvor- und nachname\w*|\bnames? and surnames?\b|\bterms and conditions\b|\bpros and cons\b"
    r"|\b(?:between|zwischen)\s+\d+\s+(?:and|und)\s+\d+|\byes and no\b|\bstreet and number\b|\bstraße und hausnummer\b",
    re.IGNORECASE,
)
_ARTICLE: Final = re.compile(
    r"^(?:an?|the|their|your|his|her|die|der|das|den|dem|eine?[nmrs]?|ihre?[nmrs]?)\s+", re.IGNORECASE
)
_ALL_REQUIRED: Final = re.compile(
    r"\b(?:all|every(?:thing)?|each)\b[\w\s]{0,20}\b(?:is|are|be)?\s*(?:required|mandatory)\b"
    r"|\balle[ns]?\b[\w\s]{0,20}\b(?:pflicht\w*|erforderlich|verpflichtend)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"[^.!?\n]*[.!?]+(?=\s|$)|[^.!?\n]+(?:[.!?](?=\S)[^.!?\n]*)*", re.DOTALL)


@dataclass(slots=True)
class Asked:
    """One thing to ask, as it was written, and what stood below it as a list of its own."""

    text: str
    below: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Reading:
    """What a prompt says. `about` is what stands beside the questions; `cut` counts questions that are too many."""

    about: str
    asked: list[Asked]
    all_required: bool
    cut: int = 0


def read(prompt: str) -> Reading:
    """What a prompt asks for."""
    text = _HIDDEN.sub("", prompt.replace("\r\n", "\n").replace("\r", "\n")).replace("\t", "    ")
    all_required = bool(_ALL_REQUIRED.search(text))
    text = _ALL_REQUIRED.sub("", text)
    about, asked = _listed(text) or _questioned(text) or _enumerated(text) or (text, [])
    asked = [each for each in asked if re.search(r"[^\W_]", each.text)]
    cut = max(0, len(asked) - MAX_QUESTIONS)
    return Reading(" ".join(about.split()), asked[:MAX_QUESTIONS], all_required, cut)


def title_of(about: str) -> str:
    """What the form is called: the thing that the prompt asks to be made, without the asking. Empty when it is not
    said."""
    # A first line or sentence is a title; what follows explains.
    first = re.split(r"(?<=[.!?:])\s|\n", about.strip(), maxsplit=1)[0]
    named = _CREATING.sub("", first, count=1)
    asking = _ASKING.search(named)
    if asking is not None and asking.start() > 0:
        named = named[: asking.start()]
    named = re.sub(r"\s+(?:that|which|and|with|to|der|die|das|mit|und)\s*$", "", named.strip(" .,:;!?-–"))
    return _capital(named)[:MAX_TITLE] if len(named) <= 120 else ""


def _listed(text: str) -> tuple[str, list[Asked]] | None:
    about: list[str] = []
    asked: list[tuple[int, Asked]] = []
    for line in text.split("\n"):
        match = _ITEM.match(line)
        if match is None:
            if line.strip():
                about.append(line.strip())
            continue
        depth = len(match[1])
        if asked and depth > asked[-1][0] + 1:
            asked[-1][1].below.append(match[2])
        else:
            asked.append((depth, Asked(match[2])))
    if len(asked) < 2 and not any(each.below for _, each in asked):
        return None
    return "\n".join(about), [each for _, each in asked]


def _questioned(text: str) -> tuple[str, list[Asked]] | None:
    about: list[str] = []
    asked: list[Asked] = []
    for sentence in _sentences(text):
        if sentence.endswith("?"):
            # "Feedback: ask for a name, an address, would you come again?" asks in both ways.
            begins = _ASKING.search(sentence)
            both = begins is not None and sentence[: begins.start()].strip()[-1:] in ("", ":")
            found = _enumerated(sentence) if both else None
            if found is None or len(found[1]) < 2:
                asked.append(Asked(sentence))
            else:
                about.append(found[0])
                asked += found[1]
        elif asked and (options := _options_below(sentence)):
            asked[-1].below.extend(options)
        else:
            about.append(sentence)
    if not asked:
        return None
    rest = _enumerated(" ".join(about)) if about else None
    if rest is not None:
        return rest[0], [*rest[1], *asked]
    return " ".join(about), asked


def _options_below(sentence: str) -> list[str]:
    """The options of "Options: red, green." after a question; none where it is another sentence."""
    head, colon, tail = sentence.rstrip(".").partition(":")
    if colon and re.fullmatch(
        r"\W*(?:options?|choices?|answers?|optionen|auswahl|antworten|möglichkeiten)", head, re.I
    ):
        return list(parts(tail))
    if sentence.startswith("(") and sentence.rstrip(".").endswith(")"):
        return list(parts(sentence.rstrip(".")[1:-1]))
    return []


def _enumerated(text: str) -> tuple[str, list[Asked]] | None:
    final = _VERB_LAST.search(text)
    if final is not None:
        return text[: final.start()] + text[final.end() :], [Asked(piece) for piece in _joined(final[1])]
    matches = islice(_ASKING.finditer(text), _TRIED)
    asking = next((match for match in matches if len(list(_joined(text[match.end() :]))) > 1), None)
    if asking is None:
        single = re.search(r"\b(?:asks?|asking|frag(?:t|e|en)?) (?:for|about|nach)\s+(.+)", text, re.IGNORECASE)
        if single is None:
            # Words with commas between them and nothing else are questions, too: "name, email, phone".
            bare = text.strip().rstrip(".")
            pieces = list(_joined(bare))
            if len(pieces) < 3 or any(len(piece.split()) > 6 for piece in pieces) or "\n" in bare:
                return None
            return "", [Asked(piece) for piece in pieces]
        return text[: single.start()], [Asked(piece) for piece in _joined(single[1])]
    tail = text[asking.end() :]
    sentences = _sentences(tail)
    asked = [Asked(piece) for piece in _joined(sentences[0].rstrip(".!"))]
    about = text[: asking.start()]
    for sentence in sentences[1:]:
        further = _ASKING.search(sentence)
        if further is not None:
            asked += [Asked(piece) for piece in _joined(sentence[further.end() :].rstrip(".!"))]
        else:
            about += " " + sentence
    return about, asked


def parts(text: str) -> Iterator[str]:
    """What stands between commas, strokes and the words for or."""
    for part in re.split(r"\s*[,;|]\s*|\s*/\s*|\s+(?:or|oder|and|und)\s+", text.strip().rstrip(".")):
        part = re.sub(r"^(?:and|und|or|oder)\s+", "", part.strip(), flags=re.IGNORECASE).strip(" .\"“”'")
        if part:
            yield part


def _joined(text: str) -> Iterator[str]:
    """The things that a sentence lists."""
    kept: list[str] = []

    def hide(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\ue000{len(kept) - 1}\ue000"

    hidden = _WHOLE.sub(hide, text)
    for piece in _JOINTS.split(hidden):
        whole = piece
        while "\ue000" in whole:
            whole = re.sub("\ue000(\\d+)\ue000", lambda match: kept[int(match[1])], whole)
        whole = _ARTICLE.sub("", whole.strip())
        if whole:
            yield whole


def _sentences(text: str) -> list[str]:
    return [match[0].strip() for match in _SENTENCE.finditer(text) if match[0].strip()]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
