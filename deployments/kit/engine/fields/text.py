"""Texts: short, long, e-mail, URL, phone, hidden. The answer is a string; a blank one counts as absent."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Final, Literal
from unicodedata import normalize

import re2  # type: ignore[import-untyped]
from pydantic import Field as Attribute
from pydantic import StringConstraints

from deployments.kit.engine.fields.country import CountryCode
from deployments.kit.engine.fields.field import Field, Model, Validator, bounds_fault
from deployments.kit.engine.fields.formats import normal_email, normal_phone, normal_url
from deployments.kit.errors import Fault

MAX_TEXT: Final = 100_000
MAX_MATCHED: Final = 2_000
"""The longest text that a pattern is tried on. RE2 is linear, but the worst pattern costs 100 µs per character."""
_PATTERN_MEMORY: Final = 1 << 20

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Format = Callable[[str], str | None]


class TextValidation(Model):
    """Lengths in characters; `pattern` is an RE2 expression that the whole text must match.

    A text with a pattern has at most 2,000 characters. `unique` allows each text once in the form's responses.
    """

    min_length: int | None = Attribute(default=None, ge=0, le=MAX_TEXT)
    """Fewest characters."""
    max_length: int | None = Attribute(default=None, ge=1, le=MAX_TEXT)
    """Most characters."""
    pattern: Pattern | None = None
    """An RE2 expression that the whole text must match."""
    unique: bool = False
    """Each text may be given once in the form's responses."""


class TextField(Field):
    """What the text types share. `longest` is the bound that holds whatever `validation` says."""

    text_like: ClassVar[bool] = True
    longest: ClassVar[int]
    format_code: ClassVar[str] = ""
    format_detail: ClassVar[str] = ""

    validation: TextValidation = TextValidation()
    """What a text must be like."""

    def faults(self) -> Iterator[Fault]:
        rules = self.validation
        yield from bounds_fault(rules.min_length, rules.max_length, "validation/min_length")
        if rules.pattern is not None:
            try:
                _compile_pattern(rules.pattern)
            except re2.error as error:
                detail = error.args[0].decode(errors="replace") if error.args else "not RE2"
                yield Fault("/validation/pattern", "definition.bad_pattern", f"The pattern is refused: {detail}")

    def compile(self) -> Validator:
        rules, normal = self.validation, self.normal()
        longest = min(rules.max_length or MAX_TEXT, self.longest, MAX_TEXT if rules.pattern is None else MAX_MATCHED)
        check = compile_text(self.fault, shortest=rules.min_length or 0, longest=longest)
        if normal is None and rules.pattern is None:
            return check
        bad_format = self.fault(self.format_code, self.format_detail)
        mismatch = self.fault("pattern", "The text does not have the expected form.")
        return _formatted(check, normal, bad_format, rules.pattern, mismatch)

    def canonical(self, value: Any) -> str | None:
        # NFKC once more: case folding can leave what it composed before.
        return normalize("NFKC", normalize("NFKC", " ".join(value.split())).casefold())

    def normal(self) -> Format | None:
        """The function that returns the normal form of a text, None when it has not this type's format."""
        return None


class ShortTextField(TextField):
    """One line of text, at most 2,000 characters."""

    longest = 2_000
    type: Literal["short_text"]


class LongTextField(TextField):
    """Text of several lines, at most 100,000 characters."""

    longest = MAX_TEXT
    type: Literal["long_text"]


class EmailField(TextField):
    """An e-mail address (RFC 5321, internationalised too); the domain is normalised."""

    longest, format_code, format_detail = 254, "format.email", "Enter an e-mail address."
    type: Literal["email"]

    def normal(self) -> Format:
        return normal_email


class UrlField(TextField):
    """An absolute http or https address without credentials."""

    longest, format_code, format_detail = 2_048, "format.url", "Enter an http or https address."
    type: Literal["url"]

    def normal(self) -> Format:
        return normal_url


class PhoneField(TextField):
    """A telephone number; normalised to E.164, `+493012345`.

    A number without its country is read as one of `default_country` (ISO 3166-1, two letters). Without
    `default_country` it is kept as written when it has 7 to 15 digits.
    """

    longest, format_code, format_detail = 40, "format.phone", "Enter a telephone number."
    type: Literal["phone"]
    default_country: CountryCode | None = None
    """The country of numbers that name none (ISO 3166-1 alpha-2)."""

    def normal(self) -> Format:
        country = self.default_country
        return lambda text: normal_phone(text, country)


class HiddenField(TextField):
    """A text that the page fills in, such as a campaign; at most 2,000 characters."""

    longest = 2_000
    type: Literal["hidden"]


def compile_text(fault: Callable[..., Fault], *tokens: object, shortest: int = 0, longest: int = 2_000) -> Validator:
    """The validator of one text's type, encoding and length; `fault` and `tokens` say where its faults point."""
    not_text = fault("type", "This must be a text.", *tokens)
    nul = fault("text.nul", "The text holds a NUL character.", *tokens)
    surrogate = fault("text.encoding", "The text is not valid Unicode.", *tokens)
    too_short = fault("length.min", f"Enter at least {shortest} characters.", *tokens, min=shortest)
    too_long = fault("length.max", f"Enter at most {longest} characters.", *tokens, max=longest)

    def check(raw: Any, faults: list[Fault]) -> str | None:
        if type(raw) is not str:
            faults.append(not_text)
        elif "\0" in raw:
            faults.append(nul)
        elif not raw.isascii() and _has_surrogate(raw):
            faults.append(surrogate)
        elif len(raw) > longest:
            faults.append(too_long)
        elif raw and not raw.isspace():
            if len(raw) >= shortest:
                return raw
            faults.append(too_short)
        return None

    return check


def _formatted(
    check: Validator, normal: Format | None, bad_format: Fault, pattern: str | None, mismatch: Fault
) -> Validator:
    matches = None if pattern is None else _compile_pattern(pattern).fullmatch

    def check_format(raw: Any, faults: list[Fault]) -> str | None:
        text: str | None = check(raw, faults)
        if text is None:
            return None
        if normal is not None:
            text = normal(text)
            if text is None:
                faults.append(bad_format)
                return None
        if matches is not None and matches(text) is None:
            faults.append(mismatch)
            return None
        return text

    return check_format


def _compile_pattern(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.log_errors = False
    return re2.compile(pattern, options)


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


TYPES = (ShortTextField, LongTextField, EmailField, UrlField, PhoneField, HiddenField)
