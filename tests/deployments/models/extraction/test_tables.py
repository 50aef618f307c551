"""A3: sentences of several languages, and what they name with which value. Read on Friday 27 March 2026 at nine."""

import pytest

from tests.deployments.models.extraction.finding import found

ADDRESSES = [
    ("Mail Joe.Doe@Example.COM please", None, [("email", "Joe.Doe@Example.COM", "Joe.Doe@example.com")]),
    (
        "See https://example.com/2024-05-01/x.",
        None,
        [("url", "https://example.com/2024-05-01/x", "https://example.com/2024-05-01/x")],
    ),
    ("(www.Example.co.uk)", None, [("url", "www.Example.co.uk", "https://www.example.co.uk")]),
    ("bücher.de/neu ist toll", None, [("url", "bücher.de/neu", "https://xn--bcher-kva.de/neu")]),
    ("That was the end.It was script.py at 5.0", None, []),
    ("Not an address: a@b, @joe, x@y.notadomain", None, []),
    (
        "+49 30 901820 oder 030 901820",
        "DE",
        [("phone", "+49 30 901820", "+4930901820"), ("phone", "030 901820", "+4930901820")],
    ),
    ("call 020 7946 0958", None, []),
    ("call (020) 7946 0958", "GB", [("phone", "(020) 7946 0958", "+442079460958")]),
    ("Mon numéro est le 01 42 68 53 00", "FR", [("phone", "01 42 68 53 00", "+33142685300")]),
]

MONEY = [
    ("It cost $20 or 1.234,56 €", None, ["USD 20", "EUR 1234.56"]),
    ("$20 too much", "CA", ["CAD 20"]),
    ("12,50 EUR, EUR 12.50, 12€50", None, ["EUR 12.50", "EUR 12.50", "EUR 12.50"]),
    ("CHF 1'250.00 und zwanzig Euro", None, ["CHF 1250", "EUR 20"]),
    ("five hundred dollars and £1.5 million", None, ["USD 500", "GBP 1500000"]),
    ("vingt-cinq euros, deux cents francs", "CH", ["EUR 25", "CHF 200"]),
    ("trescientos pesos", "MX", ["MXN 300"]),
    ("150p a minute", "GB", ["GBP 1.50"]),
    ("50 Cent", "DE", ["EUR 0.50"]),
    ("200 kr", "SE", ["SEK 200"]),
    ("a real person, 2 sit, all 5 of us, try 3", None, []),
    ("0870241182716 £3", None, ["GBP 3"]),
    ("2,5 Mio. € und 20 Pfund Sterling, aber 3 Pfund Mehl", "DE", ["EUR 2500000", "GBP 20"]),
]

QUANTITIES = [
    ("5 kg, 3 Liter, 20 km/h, 30 m², 20°C", "de", ["5 kg", "3 L", "20 km/h", "30 m2", "20 Cel"]),
    ("cinq kilomètres", "fr", ["5 km"]),
    ("dos semanas y 1,5 litros", "es", ["2 wk", "1.5 L"]),
    ("two and a half, 5 nights, a fortnight, 25%", "en", ["5 night", "2 wk", "25 %"]),
    ("twice a day, call it a day, 2day, my 3g, a foot bath", "en", []),
]

ORDERS = [
    ("order no. 4711-22", ["4711-22"]),
    ("Bestellnummer: 20318855", ["20318855"]),
    ("Rechnung RE-2024/17 ist falsch", ["RE-2024/17"]),
    ("facture n° F2024-0012", ["F2024-0012"]),
    ("número de pedido 88123", ["88123"]),
    ("ticket #12345", ["12345"]),
    ("My parcel 1Z999AA10123456784 and ord-20318: ORD-20318", ["1Z999AA10123456784", "ORD-20318"]),
    ("customer no 555123", ["555123"]),
    ("(Bestell-Nr. A-10293)", ["A-10293"]),
    ("pedido nº 77123, n° de commande 4578-AB", ["77123", "4578-AB"]),
    ("I had 2 orders, order 3 came, COVID-19, case closed, customer 5", []),
]

DATES = [
    ("today, tomorrow, yesterday", "en", ["2026-03-27", "2026-03-28", "2026-03-26"]),
    ("the day after tomorrow or last Monday", "en", ["2026-03-29", "2026-03-23"]),
    ("on Friday, next week", "en", ["2026-04-03", "2026-03-30/2026-04-05"]),
    ("on 5 May 2025 or March 3rd, 2024", "en", ["2025-05-05", "2024-03-03"]),
    ("from the 4th to the 9th of October", "en", ["2026-10-04", "2026-10-09"]),
    ("17-19 July", "en", ["2026-07-17/2026-07-19"]),
    ("two weeks ago, in 3 days, last 10 days", "en", ["2026-03-13", "2026-03-30", "2026-03-17/2026-03-27"]),
    ("in May, since 2019, this quarter", "en", ["2026-05", "2019", "2026-01-01/2026-03-31"]),
    ("on the 5th, Wednesday in a week", "en", ["2026-04-05", "2026-04-08"]),
    ("every Monday, may I, the 1st time, 2nd floor, my second", "en", []),
    ("am 3. Mai 2026, am 3.5. und 03.05.26", "de", ["2026-05-03", "2026-05-03", "2026-05-03"]),
    ("übermorgen, letzte Woche, nächsten Montag", "de", ["2026-03-29", "2026-03-16/2026-03-22", "2026-03-30"]),
    ("vor zwei Wochen, in 3 Tagen, im Mai", "de", ["2026-03-13", "2026-03-30", "2026-05"]),
    ("Guten Morgen, am Morgen, heute Morgen", "de", ["2026-03-27"]),
    ("le 3 mai 2026, demain, lundi prochain", "fr", ["2026-05-03", "2026-03-28", "2026-03-30"]),
    (
        "la semaine dernière, il y a trois jours, dans 2 mois",
        "fr",
        ["2026-03-16/2026-03-22", "2026-03-24", "2026-05-27"],
    ),
    ("1er janvier, le 14/07/2026", "fr", ["2027-01-01", "2026-07-14"]),
    ("el 3 de mayo de 2026, mañana, pasado mañana", "es", ["2026-05-03", "2026-03-28", "2026-03-29"]),
    ("la semana pasada, hace 3 días, el lunes", "es", ["2026-03-16/2026-03-22", "2026-03-24", "2026-03-30"]),
    ("por la mañana", "es", []),
    ("am 12.03. und am Mittwoch, den 5. August", "de", ["2026-03-12", "2026-08-05"]),
    ("el martes 3 de marzo, el martes 2 de marzo", "es", ["2026-03-03", "2027-03-02"]),
    ("by end of May, Sunday 5 April", "en", ["2026-05", "2026-04-05"]),
    ("il 3 maggio 2026", "it", ["2026-05-03"]),
    ("3 maio 2026 e 4 de junho", "pt", ["2026-05-03", "2026-06-04"]),
    ("2026-05-03 2026年5月3日 2026/05/03", "zh", ["2026-05-03"] * 3),
    ("٣/٥/٢٠٢٦", "ar", ["2026-05-03"]),
    ("31 February 2026, 2026-13-01, 32.1.2026", "en", []),
]

TIMES = [
    ("at 5pm, 17:30, half past nine in the evening", "en", ["17:00", "17:30", "21:30"]),
    ("quarter to 9, 10 past 9 at night, noon", "en", ["08:45", "21:10", "12:00"]),
    ("12:25 a.m., 12 pm", "en", ["00:25", "12:00"]),
    ("um 17 Uhr, 8.30 Uhr, halb sechs, Viertel nach acht", "de", ["17:00", "08:30", "05:30", "08:15"]),
    ("à 14h30, midi, 9 h du matin", "fr", ["14:30", "12:00", "09:00"]),
    ("a las 5 de la tarde, a las ocho y media", "es", ["17:00", "08:30"]),
    ("5 to 8 people, version 2:1, at 5 stars, 10:99", "en", []),
]

MOMENTS = [
    ("tomorrow at 5pm", ["2026-03-28T17:00"]),
    ("at 9:15 on 3 May", ["2026-05-03T09:15"]),
    ("am 3. Mai um 17:30 Uhr", ["2026-05-03T17:30"]),
    ("lundi prochain à 14h", ["2026-03-30T14:00"]),
    ("mañana a las 5 de la tarde", ["2026-03-28T17:00"]),
    ("2026-03-05T14:00:30+01:00", ["2026-03-05T14:00:30+01:00"]),
    ("2026-03-05 14:00Z", ["2026-03-05T14:00Z"]),
    ("le 12/03/2026 à 18h pour deux", ["2026-03-12T18:00"]),
]


@pytest.mark.parametrize(("text", "country", "expected"), ADDRESSES)
def test_addresses(text: str, country: str | None, expected: list[tuple[str, str, str]]) -> None:
    assert found(text, "email", "url", "phone", country=country) == expected


@pytest.mark.parametrize(("text", "country", "expected"), MONEY)
def test_money(text: str, country: str | None, expected: list[str]) -> None:
    assert [value for _, _, value in found(text, "money", country=country)] == expected


@pytest.mark.parametrize(("text", "language", "expected"), QUANTITIES)
def test_quantities(text: str, language: str, expected: list[str]) -> None:
    assert [value for _, _, value in found(text, "quantity", languages=(language,))] == expected


@pytest.mark.parametrize(("text", "expected"), ORDERS)
def test_order_numbers(text: str, expected: list[str]) -> None:
    assert [value for _, _, value in found(text, "order_number")] == expected


@pytest.mark.parametrize("told", [True, False], ids=["language told", "language not told"])
@pytest.mark.parametrize(("text", "language", "expected"), DATES)
def test_dates(text: str, language: str, expected: list[str], told: bool) -> None:
    if not told and language in ("it", "pt"):
        return  # these are read where they are asked for
    assert [value for _, _, value in found(text, "date", languages=(language,) if told else ())] == expected


@pytest.mark.parametrize("told", [True, False], ids=["language told", "language not told"])
@pytest.mark.parametrize(("text", "language", "expected"), TIMES)
def test_times(text: str, language: str, expected: list[str], told: bool) -> None:
    assert [value for _, _, value in found(text, "time", languages=(language,) if told else ())] == expected


@pytest.mark.parametrize(("text", "expected"), MOMENTS)
def test_moments(text: str, expected: list[str]) -> None:
    """The only entity that rules find in each."""
    assert [(kind, value) for kind, _, value in found(text)] == [("datetime", value) for value in expected]
