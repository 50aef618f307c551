"""Amounts of money."""

from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.numbers import get_territory_currencies

from deployments.models.extraction import numbers
from deployments.models.extraction.reading import SYMBOLS, folded
from deployments.models.extraction.rules import Groups, Meaning, Rule
from deployments.models.extraction.words import FULL

# What a sign means where the country does not use a currency that shares it.
_SIGNS: Final = {
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₩": "KRW",
    "₪": "ILS",
    "₫": "VND",
    "₴": "UAH",
    "₱": "PHP",
    "₦": "NGN",
    "฿": "THB",
}
_SHARED: Final[dict[str, tuple[str, ...]]] = {
    "$": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "ARS", "CLP", "COP", "BBD", "JMD", "TTD"),
    "dollar": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD"),
    "pound": ("GBP", "EGP", "LBP"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "krone": ("NOK", "DKK"),
    "krona": ("SEK",),
    "peso": ("MXN", "ARS", "CLP", "COP", "PHP", "UYU"),
    "yuan": ("CNY",),
    "yen": ("JPY",),
    "rupee": ("INR", "PKR", "LKR", "NPR"),
    "franc": ("CHF", "XOF", "XAF"),
    "dinar": ("RSD", "DZD", "KWD", "TND"),
    "riyal": ("SAR", "QAR"),
    "dirham": ("AED", "MAD"),
    "rand": ("ZAR",),
    "real": ("BRL",),
    "zloty": ("PLN",),
    "forint": ("HUF",),
    "lira": ("TRY",),
    "rubel": ("RUB",),
    "quid": ("GBP",),
    "buck": ("USD",),
    "euro": ("EUR",),
    "¥": ("JPY", "CNY"),
}
_WORDS: Final[dict[str, str]] = {
    **{f"{word}{ending}": word for word in _SHARED if word.isalpha() for ending in ("", "s", "n", "r", "er", "en")},
    "dolares": "dollar",
    "dolar": "dollar",
    "libra": "weight",
    "libras": "weight",
    "livre": "weight",
    "livres": "weight",
    "pfund": "weight",
    "franken": "franc",
    "francos": "franc",
    "franco": "franc",
    "reais": "real",
    "zlotys": "zloty",
    "kronor": "krona",
    "kronen": "krone",
    "kroner": "krone",
    "rubles": "rubel",
    "rublos": "rubel",
    "roubles": "rubel",
    "liras": "lira",
    "rupien": "rupee",
    "rupias": "rupee",
    "roupies": "rupee",
    "sterling": "pound",
    "quid": "quid",
    "bucks": "buck",
    "pounds sterling": "pound",
    "pfund sterling": "pound",
    "livres sterling": "pound",
    "libras esterlinas": "pound",
    "us dollars": "us",
    "canadian dollars": "ca",
}
_SUBUNITS: Final = {
    "cent": "EUR USD",
    "cents": "EUR USD",
    "pence": "GBP",
    "centimes": "EUR CHF",
    "centimos": "EUR",
    "p": "GBP",
}


class Money:
    """What amounts mean in a country."""

    def __init__(self, country: str | None, languages: tuple[str, ...]) -> None:
        self._own = _currencies_of(country)
        self._languages = languages

    def amount(self, groups: Groups) -> Meaning | None:
        """A number with its currency, as "EUR 12.50"."""
        currency = self._currency(groups)
        written = groups["amount"]
        number = numbers.from_digits(written) if written[:1].isdigit() else numbers.from_words(written, self._languages)
        if currency is None or number is None:
            return None
        number *= numbers.SCALES.get(groups.get("scale", ""), 1)
        if "minor" in groups:
            number += Decimal(groups["minor"]) / 100
        return Meaning("money", f"{currency} {_shown(number)}", 1.0 if written[:1].isdigit() else 0.9)

    def spelled(self, groups: Groups) -> Meaning | None:
        """A number in words; a real person and the rand of a paper are no money."""
        return None if groups["word"] in ("real", "rand") else self.amount(groups)

    def small(self, groups: Groups) -> Meaning | None:
        """Cents and pence."""
        if groups["word"] == "p" and "GBP" not in self._own:
            return None
        choices = _SUBUNITS[groups["word"]].split()
        currency = next((each for each in choices if each in self._own), choices[0])
        number = numbers.from_digits(groups["amount"])
        return None if number is None else Meaning("money", f"{currency} {_shown(number / 100)}", 0.8)

    def _currency(self, groups: Groups) -> str | None:
        if "code" in groups:
            return groups["code"].upper()
        if "word" in groups:
            word = _WORDS[groups["word"]]
            if word == "weight":  # of another country's tongue a pound is half a kilogram, and "livre" is a book
                return next((each for each in self._own if each in _SHARED["pound"]), None)
            return {"us": "USD", "ca": "CAD"}.get(word) or self._of(word)
        sign = groups["sign"]
        if sign in _PREFIXED:
            return _PREFIXED[sign]
        return self._of({read: each for each, read in SYMBOLS.items()}.get(sign, sign))

    def _of(self, name: str) -> str | None:
        shared = _SHARED.get(name)
        if shared is None:
            return _SIGNS.get(name)
        return next((each for each in self._own if each in shared), shared[0])


_PREFIXED: Final = {"us$": "USD", "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD"} | {
    "s$": "SGD",
    "r$": "BRL",
    "mx$": "MXN",
}


def _shown(number: Decimal) -> str:
    return f"{number:.2f}" if number != number.to_integral_value() else numbers.plain(number)


def _current() -> set[str]:
    """The currencies in use, in small letters."""
    territories = (each for each in map(str, Locale("en").territories) if len(each) == 2 and each.isalpha())
    return {currency.lower() for territory in territories for currency in get_territory_currencies(territory)}


def _currencies_of(country: str | None) -> tuple[str, ...]:
    return tuple(get_territory_currencies(country)) if country else ()


@lru_cache(maxsize=16)
def money_rules(languages: tuple[str, ...]) -> tuple[Rule[Money], ...]:
    """The rules of money in these languages, for a `Money` of the same."""
    codes = "|".join(sorted(_current()))
    signs = "|".join([*(each.replace("$", r"\$") for each in _PREFIXED), r"\$", *SYMBOLS.values()])
    after = "|".join([r"\$", *SYMBOLS.values()])
    words = "|".join(sorted((folded(each) for each in _WORDS), key=lambda each: (-len(each), each)))
    scale = rf"(?: ?(?P<scale>{'|'.join(sorted(numbers.SCALES, key=len, reverse=True))})\b\.?)?"
    amount = rf"(?P<amount>{numbers.DIGITS})"
    spelled = numbers.spelled(tuple(each for each in languages if each in FULL) or FULL)
    free = r"(?:^|[^\w.,:#/-]|[^\w][.,:-]|[(\x7f-])"
    return (
        Rule(rf"(?P<sign>{signs}) ?{amount}{scale}", Money.amount, before=r"(?:^|[^a-z\d])", after=r"[^\d]|$"),
        Rule(rf"{amount}{scale} ?(?P<sign>{after})", Money.amount, before=free),
        Rule(rf"(?P<amount>\d{{1,6}})(?P<sign>{after})(?P<minor>\d\d)\b", Money.amount, before=free),
        Rule(rf"\b(?P<code>{codes})[ ]?{amount}{scale}", Money.amount, after=r"[^\d\w]|$", capital="code"),
        Rule(rf"{amount}{scale} ?(?P<code>{codes})\b", Money.amount, before=free, capital="code"),
        Rule(rf"{amount}{scale} ?-?(?:de |of |d')?(?P<word>{words})\b", Money.amount, before=free),
        Rule(rf"\b(?P<amount>{spelled}){scale} (?P<word>{words})\b", Money.spelled),
        Rule(rf"{amount} ?(?P<word>{'|'.join(_SUBUNITS)})\b", Money.small, before=free),
    )
