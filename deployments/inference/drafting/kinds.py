"""Of which type a question is: told by its words where they say it, else by its likeness to described types."""

import re
from dataclasses import dataclass
from typing import Final

from deployments.inference.drafting.reading import Asked, parts

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of element that words stand for. `is_personal`: such answers tell who somebody is."""

    type: str
    words: re.Pattern[str]
    is_personal: bool = False


def _kind(type_: str, words: str, *, is_personal: bool = False) -> Kind:
    return Kind(type_, re.compile(words, re.IGNORECASE), is_personal)


_KINDS: Final = (
    _kind("nps", r"\bnps\b|net promoter|how likely\b.*\brecommend|wahrscheinlich\b.*\b(?:weiter)?empfehl"),
    _kind("signature", r"\bsignatures?\b|\bsign here\b|unterschrift", is_personal=True),
    _kind(
        "consent",
        r"\b(?:i|you) (?:agree|accept|consent)\b|\bconsent\b|\baccept\w* .*\b(?:terms|policy)"
        r"|\b(?:terms and conditions|gdpr)\b"
        r"|privacy policy|\bdsgvo\b|datenschutz|einwillig|einverstanden|zustimm|\bagb\b|nutzungsbedingungen",
    ),
    _kind("image", r"\b(?:photos?|pictures?|images?|screenshots?|selfies?)\b|\bfotos?\b|\bbild(?:er)?\b|lichtbild"),
    _kind(
        "file",
        r"\b(?:upload|attach|attachment)\w*|\bfiles?\b|\b(?:cv|resume|résumé)\b|\bdocuments?\b|lebenslauf|\bdatei|anhang"
        r"|hochladen|\bdokumente?\b|anlage\b|zeugnis",
    ),
    _kind("email", r"\be-?\s?mails?\b|\bmail ?address|mailadresse", is_personal=True),
    _kind(
        "phone",
        r"\b(?:tele)?phones?\b|\bmobile(?: number)?\b|\bcell(?:phone)?\b|telefon|\bhandy|mobilnummer|rufnummer",
        is_personal=True,
    ),
    _kind("url", r"\burls?\b|\bweb ?(?:site|page|seite)s?\b|\bhomepage\b|\blinkedin\b|\blinks?\b|internetseite"),
    _kind("datetime", r"date and time|datum und uhrzeit|\bdatetime\b|zeitpunkt"),
    _kind("date", r"\bdate of birth\b|\bbirth ?(?:day|date)\b|geburts(?:datum|tag)", is_personal=True),
    _kind(
        "date",
        r"\bdates?\b|\bdatum\b|\bwhich day\b|\bwhat day\b|\bwelche[rmn]? tag\b|^when\b|^wann\b|\bdeadline\b|termin\b",
    ),
    _kind("time", r"\b(?:what|which|arrival|start|pick-?up|preferred) time\b|^time$|\buhrzeit\b|\bum wie viel uhr\b"),
    _kind("country", r"\bcountry\b|\bnationality\b|^(?:herkunfts)?land$|\bwelche[sm] land\b|staatsangehörigkeit"),
    _kind(
        "address",
        r"\b(?:postal |home |delivery |shipping |billing |street |mailing )?address\b|\badresse\b|anschrift",
        is_personal=True,
    ),
    _kind(
        "currency",
        r"\b(?:salary|budget|price|costs?|fee|income|revenue|donation)\b|[€$£]|\beuros?\b|gehalt|\bpreis\b|\bkosten\b|betrag|spende|einkommen",
    ),
    _kind(
        "integer",
        r"\bhow many\b|\bnumber of\b|\bquantity\b|\bage\b|\bhow old\b|\bcount of\b|\banzahl\b|\bwie viele\b"
        r"|\bwie alt\b|\balter\b|\bmenge\b|personenzahl",
    ),
    _kind(
        "number",
        r"\b(?:weight|height|length|width|distance|percentage)\b|\bgewicht\b|\bgröße in\b|\bkilometer\b|prozent",
    ),
    _kind(
        "rating",
        r"\brat(?:e|ing)s?\b|\bstars?\b|\bhow (?:satisfied|happy|good|well)\b|\bsatisfaction\b|bewert"
        r"|\bsterne\b|\bzufrieden",
    ),
    _kind(
        "long_text",
        r"\bcomments?\b|\bfeedback\b|\bdescri(?:be|ption)|\bexplain|\bwhy\b|\btell us\b|\bmessage\b|suggest"
        r"|improve|anything else"
        r"|\bdetails\b|\bexperiences?\b|\bnotes?\b|\bremarks?\b|\breasons?\b|\bopinion|\bthoughts\b"
        r"|\bin your own words\b|\bcover letter\b"
        r"|kommentar|anmerkung|beschreib|\bwarum\b|\bweshalb\b|nachricht|\bwünsche?\b|vorschl[aä]g|verbesser"
        r"|\bsonst noch\b|begründ"
        r"|\bmeinung|\berfahrung|rückmeldung|\bhinweise?\b|anschreiben|\ballerg|unverträglich|dietary",
    ),
    _kind(
        "short_text",
        r"\b(?:first |last |full |family |sur|given )?names?\b|(?:vor|nach|familien)?name\b|\bvor- und nachname",
        is_personal=True,
    ),
    _kind(
        "short_text",
        r"\b(?:company|organi[sz]ation|department|city|town|position|job title|subject|order number|title|brand"
        r"|model)\b|\bfirma\b|unternehmen|\bstadt\b|\bort\b|abteilung|betreff|bestellnummer|\bplz\b"
        r"|postleitzahl|\bzip\b",
    ),
)
_YES_NO: Final = re.compile(
    r"^(?:do|does|did|are|is|was|were|have|has|had|will|would|can|could|may|should)\b.*\?$"
    r"|^(?:haben|hast|hat|sind|ist|war|waren|möchten|möchtest|wollen|willst|werden|wirst|können|kannst|dürfen|wurde|wurden|gibt"
    r"|gab|nehmen|nimmst|kommen|kommst|brauchen|brauchst)\b.*\?$",
    re.IGNORECASE,
)
_HINT: Final = re.compile(
    r"[(\[]\s*(?:please )?(?:select|check|choose|tick)? ?(?:all|any|several|multiple)\b[^)\]]{0,40}[)\]]"
    r"|[(\[]\s*mehrfach\w*[^)\]]{0,30}[)\]]",
    re.IGNORECASE,
)
_YES: Final = frozenset({"yes", "no", "ja", "nein", "y", "n", "oui", "non", "sí", "si"})
_SAID_YES_NO: Final = re.compile(r"\b(?:yes|ja)\s*(?:/|or|oder|and|und|,)\s*(?:no|nein)\b", re.IGNORECASE)
_SEVERAL: Final = re.compile(
    r"\b(?:multiple(?: choice| selection| answers)?|several|select all|check all|choose all|all that apply"
    r"|any of|checkbox(?:es)?)\b"
    r"|mehrfach\w*|\bmehrere\b|alles? (?:zutreffende|was zutrifft)",
    re.IGNORECASE,
)
_RANKED: Final = re.compile(r"\brank(?:ing|ed)?\b|order of preference|reihenfolge|rangfolge", re.IGNORECASE)
_SCALED: Final = re.compile(r"\bscale\b|\bskala\b|\bagree\b|\bdisagree\b|stimme", re.IGNORECASE)
_RANGE: Final = re.compile(
    r"(?:\(\s*)?\b(?:on a scale |auf einer skala )?(?:(?:from|of|von|between|zwischen)\s+)?(\d{1,2})\s*(?:-|–"
    r"|to|bis|through|and|und|\.\.)\s*"
    r"(\d{1,3})\b(?:\s*(?:stars?|points?|sterne[n]?|punkte[n]?))?(?:\s*\))?",
    re.IGNORECASE,
)
_OUT_OF: Final = re.compile(r"\bout of (5|7|10)\b|\b(3|5|7|10)[- ](?:stars?|sterne)\b", re.IGNORECASE)
_REQUIRED: Final = re.compile(
    r"[(\[]?\s*\b(?:required|mandatory|pflicht(?:feld|angabe|frage)?|erforderlich|verpflichtend)\b\s*[)\]]?|(?<=[\w?)])\s*\*(?=\s*$)",
    re.IGNORECASE,
)
_OPTIONAL: Final = re.compile(
    r"[(\[]?\s*\b(?:optional|not required|voluntary|freiwillig|kein pflichtfeld)\b\s*[)\]]?", re.IGNORECASE
)
_KIND_SAID: Final = re.compile(
    r"[(\[]\s*(?:free |freier )?(short text|long text|text|textfeld|multiple choice|single choice|dropdown"
    r"|checkbox|number|zahl|date|datum|time"
    r"|email|phone|file|upload|rating|scale|nps|yes ?/ ?no|ja ?/ ?nein)\s*[)\]]",
    re.IGNORECASE,
)
_SAID: Final = {
    "short text": "short_text",
    "long text": "long_text",
    "text": "short_text",
    "textfeld": "short_text",
    "number": "number",
    "zahl": "number",
    "date": "date",
    "datum": "date",
    "time": "time",
    "email": "email",
    "phone": "phone",
    "file": "file",
    "upload": "file",
    "rating": "rating",
    "scale": "scale",
    "nps": "nps",
    "dropdown": "dropdown",
    "multiple choice": "multi_choice",
    "single choice": "choice",
    "checkbox": "multi_choice",
}
_OTHER: Final = re.compile(
    r"^(?:other|others|something else|andere[sr]?|sonstige[sr]?|anderes)\b.{0,20}$", re.IGNORECASE
)
_MOST_SHOWN: Final = 8

DESCRIBED: Final[dict[str, tuple[str, ...]]] = {
    "short_text": (
        "a few words, a name or a term",
        "ein paar Wörter, ein Name oder Begriff",
        "favourite colour",
        "Lieblingsfarbe",
    ),
    "long_text": (
        "a longer text in own words, what somebody thinks",
        "ein längerer Text in eigenen Worten",
        "what people liked",
        "was gefallen hat",
    ),
    "integer": ("a whole number, how many", "eine ganze Zahl, wie viele", "amount of persons", "Personenanzahl"),
    "date": ("a day in the calendar", "ein Tag im Kalender", "day of arrival", "Anreisetag"),
    "time": ("a time of the day", "eine Uhrzeit", "hour of the meeting"),
    "currency": ("an amount of money", "ein Geldbetrag", "what it may cost"),
    "rating": (
        "how good it was, satisfaction",
        "wie gut es war, Zufriedenheit",
        "quality of the service",
        "Qualität des Service",
    ),
    "yes_no": ("whether or not, yes or no", "ob oder ob nicht, ja oder nein", "will attend", "nimmt teil"),
    "phone": ("a number to call", "eine Nummer zum Anrufen"),
    "file": ("a document to send along", "eine Datei zum Mitschicken"),
    "address": ("where somebody lives, street and city", "wo jemand wohnt, Straße und Ort"),
}
"""Types in words, for questions that name none."""


@dataclass(slots=True)
class Question:
    """What a thing to ask comes to. `type` is empty where its words do not say it; `required` is null where nothing
    is said about it; `lost` names what was said and could not be kept."""

    title: str
    type: str = ""
    options: tuple[str, ...] = ()
    allow_other: bool = False
    range: Range | None = None
    required: bool | None = None
    is_personal: bool = False
    lost: tuple[str, ...] = ()


def question_of(asked: Asked) -> Question:
    """What is asked."""
    text = " ".join(asked.text.split())
    question = Question("")
    if _OPTIONAL.search(text):
        question.required, text = False, _OPTIONAL.sub(" ", text)
    elif _REQUIRED.search(text):
        question.required, text = True, _REQUIRED.sub(" ", text)
    said = _KIND_SAID.search(text)
    if said is not None:
        question.type = _SAID.get(said[1].lower(), "yes_no")
        text = text[: said.start()] + text[said.end() :]
    text, options = _without_options(text, asked.below)
    question.range, text = _range(text)
    question.title = _title(text) or _title(asked.text)
    _decide(question, options, f"{asked.text} {' '.join(asked.below)}")
    return question


def _decide(question: Question, options: list[str], whole: str) -> None:
    plain = question.title.strip(" :")
    if question.type in ("choice", "multi_choice", "dropdown") and len(options) < 2:
        question.lost += (f"“{question.title}” has no options to choose from.",)
        question.type = ""
    if question.type and question.type not in ("choice", "multi_choice", "dropdown"):
        pass
    elif (options and {option.lower() for option in options} <= _YES) or (not options and _SAID_YES_NO.search(whole)):
        question.type = "yes_no"
    elif len(options) >= 2:
        _choose(question, options, whole)
    elif not question.type:
        kind = next((kind for kind in _KINDS if kind.words.search(plain)), None)
        if question.range is not None and (kind is None or kind.type not in ("nps", "integer", "number", "currency")):
            question.type = (
                "scale" if question.range[0] != 1 or question.range[1] > 10 or _SCALED.search(whole) else "rating"
            )
        elif _YES_NO.match(plain) and (
            kind is None or kind.type not in ("nps", "consent", "file", "image", "signature")
        ):
            question.type = "yes_no"
        elif kind is not None:
            question.type, question.is_personal = kind.type, kind.is_personal
    if question.type in ("email", "phone", "address", "signature"):
        question.is_personal = True


def _choose(question: Question, options: list[str], whole: str) -> None:
    named = list(dict.fromkeys(options))
    rest = [option for option in named if not _OTHER.match(option)]
    question.allow_other = len(rest) < len(named) and len(rest) >= 1
    question.options = tuple(rest if question.allow_other else named)
    if question.type in ("multi_choice", "choice", "dropdown"):
        return
    if _RANKED.search(whole) and len(question.options) > 1:
        question.type, question.options, question.allow_other = "ranking", tuple(named), False
    elif _SEVERAL.search(whole):
        question.type = "multi_choice"
    else:
        question.type = "dropdown" if len(question.options) > _MOST_SHOWN else "choice"


def _without_options(text: str, below: list[str]) -> tuple[str, list[str]]:
    """The question without its options, and these: a list below it, in brackets, or behind a colon."""
    if below:
        return text.rstrip(" :"), [re.sub(r"^\W+", "", each).strip() for each in below if each.strip()]
    for bracket in re.finditer(r"[(\[]([^()\[\]]*)[)\]]", text):
        found = list(
            parts(re.sub(r"^(?:e\.g\.|z\. ?B\.|options?:|choose from:?|optionen:)\s*", "", bracket[1], flags=re.I))
        )
        if len(found) >= 2 and not _RANGE.fullmatch(bracket[0].strip()):
            return (text[: bracket.start()] + text[bracket.end() :]), _without_hints(found)
    head, colon, tail = text.partition(":")
    found = list(parts(tail)) if colon else []
    if len(found) >= 2 and not _RANGE.search(tail) and all(len(each) <= 80 for each in found):
        return head, _without_hints(found)
    question, mark, tail = text.partition("?")
    found = list(parts(tail)) if mark else []
    if len(found) >= 2 and not _RANGE.search(tail) and all(len(each) <= 60 for each in found):
        return question + mark, _without_hints(found)
    return text, []


def _without_hints(options: list[str]) -> list[str]:
    return [option for option in options if not _SEVERAL.fullmatch(option)]


def _range(text: str) -> tuple[Range | None, str]:
    match = _RANGE.search(text)
    if match is not None:
        low, high = int(match[1]), int(match[2])
        if low in (0, 1) and 2 <= high <= 100 and high > low:
            return (low, high), text[: match.start()] + text[match.end() :]
    match = _OUT_OF.search(text)
    if match is not None:
        return (1, int(match[1] or match[2])), text[: match.start()] + text[match.end() :]
    return None, text


def _title(text: str) -> str:
    kept = re.sub(r"[(\[]\s*[)\]]", "", _HINT.sub("", text))
    kept = re.sub(r"\s+([?!,.])", r"\1", " ".join(kept.split())).strip(" ,;:-–—*")
    kept = re.sub(r"^(?:an?|the)\s+|\s+(?:from|on|with|von|mit|auf)$", "", kept, flags=re.IGNORECASE)
    kept = kept.rstrip(".") if not kept.endswith("...") else kept
    return (kept[:1].upper() + kept[1:])[:500]
