"""The built-in heads: how often they are right, where they are wrong, and whether their probabilities can be believed.

    python -m benchmarks.ai.builtin --data <folder>

`<folder>` holds `sms_spam_train.tsv`, and if there, the sentences that `recipes.sentiment` learns from, the tweets and
comments that `recipes.toxicity` does, and `banking77_train.csv` and `nlupp/`, real messages that are neither spam nor
toxic. Languages are asked of the messages of programs in
other languages, which Unix systems have below `/usr/share/locale`. The reliability diagrams are written into `docs/ai`.
"""

import argparse
import csv
import gettext
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.machine import describe
from deployments.kit.passages import grouped, passages
from deployments.models import minilm
from deployments.models.encoder import Encoder
from deployments.models.heads.builtin import FOLDER, Judge, builtin
from deployments.models.heads.head import Head
from deployments.models.heads.recipes import sentiment, spam, toxicity
from deployments.models.heads.recipes.record import Bin, Figures, figures_of
from deployments.models.registry import Registry

PAGES: Final = Path(__file__).parents[2] / "docs" / "ai"
CATALOGUES: Final = Path("/usr/share/locale")
PROGRAMS: Final = ("gtk30", "glib20", "coreutils", "software-properties", "PackageKit", "grep")

_SPAM: Final = spam.LABELS.index("spam")
_TOXIC: Final = toxicity.LABELS.index("toxic")
_THRESHOLDS: Final = (0.5, 0.9)
# Of a language, so that those with long catalogues do not decide.
_MOST: Final = 120
_LEAST: Final = 60
_MARKUP: Final = re.compile(r"%\([a-z_]+\)[sd]|%[-+ #0-9.*$lzhjt']*[a-zA-Z]|<[^>]+>|\{[^}]*\}|[_`'\"“”„]")
_ALIASES: Final = {"nb": "no"}


@dataclass(frozen=True)
class Said:
    """A text in a language, as the head knows it."""

    language: str
    text: str


def run(data: Path) -> None:
    """Print every table; write the diagrams."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder))
        minilm.build(registry)
        encoders = {precision: Encoder(registry, precision=precision, threads=2) for precision in minilm.FILES}
        found = _spam(data, encoders)
        _honest(data, encoders["int8"])
        _sentiment(data, encoders["int8"])
        _toxicity(data, encoders["int8"])
    _diagram(found.reliability, "spam")
    if CATALOGUES.is_dir():
        _diagram(_languages(), "language")


def _spam(data: Path, encoders: Mapping[minilm.Precision, Encoder]) -> Figures:
    messages = spam.read(data)
    unseen = messages.of(spam.held_out(messages.texts))
    head = builtin(spam.NAME)
    figures = {
        precision: figures_of(head.score(unseen.texts, encoder.embed(unseen.texts)), unseen.targets, _SPAM)
        for precision, encoder in encoders.items()
    }
    print(f"\nspam: {len(unseen.texts)} messages that were held out, {int(unseen.targets.sum())} of them spam")
    print("| vectors | F1 | precision | recall | accuracy | Brier | calibration error | ham, not | spam: not, it |")
    print("|---|---|---|---|---|---|---|---|---|")
    for precision, each in figures.items():
        (kept, wrong), (missed, hit) = each.confusion
        print(
            f"| {precision} | {each.f1:.4f} | {each.precision:.4f} | {each.recall:.4f} | {each.accuracy:.4f} "
            f"| {each.brier:.4f} | {each.calibration_error:.4f} | {kept}, {wrong} | {missed}, {hit} |"
        )
    return figures["int8"]


def _honest(data: Path, encoder: Encoder) -> None:
    """What real messages of customers are taken for, and what becomes of spam among them."""
    if not (data / "banking77_train.csv").exists():
        return
    head = builtin(spam.NAME)
    customers, requests = _customers(data), _requests(data)
    samples = {"Banking77, every 10th": [[text] for text in customers[::10]]}
    samples["NLU++, every 3rd"] = [[text] for text in requests[::3]]
    long = [" ".join(customers[start : start + 8]) for start in range(0, 1_600, 8)]
    samples["8 of Banking77 as one text, whole"] = [[text] for text in long]
    samples["8 of Banking77 as one text, by passages"] = [passages([text]) for text in long]
    print("\nspam: real messages of customers, none of which is spam")
    print("| texts | number | taken for spam at 0.5 | at 0.9 |")
    print("|---|---|---|---|")
    for name, texts in samples.items():
        at = _shares(head, encoder, texts)
        print(f"| {name} | {len(texts)} | {at[0]:.2%} | {at[1]:.2%} |")
    messages = spam.read(data)
    unseen = messages.of(spam.held_out(messages.texts))
    bad = [text for text, target in zip(unseen.texts, unseen.targets, strict=True) if target]
    mixed = [f"{' '.join(customers[5_000 + 9 * number :][:8])}\n{text}" for number, text in enumerate(bad)]
    print("\nspam: a message of spam that was held out after 8 of Banking77, as one text")
    print("| judged | number | found at 0.5 | at 0.9 |")
    print("|---|---|---|---|")
    for name, texts in (("whole", [[text] for text in mixed]), ("by passages", [passages([text]) for text in mixed])):
        at = _shares(head, encoder, texts)
        print(f"| {name} | {len(texts)} | {at[0]:.2%} | {at[1]:.2%} |")


def _sentiment(data: Path, encoder: Encoder) -> None:
    if not (data / sentiment.FILES["tweets"]).exists():
        return
    sentences = sentiment.read(data)
    unseen = sentences.of(sentiment.held_out(sentences.documents))
    scores = builtin(sentiment.NAME).score(unseen.texts, encoder.embed(unseen.texts))
    right = scores.argmax(axis=1) == unseen.targets
    sure = scores.max(axis=1) >= builtin(sentiment.NAME).card.threshold
    print(f"\nsentiment: {len(right)} sentences that were held out; sure of {sure.mean():.1%}")
    print("| sentences | number | right | right where it is sure |")
    print("|---|---|---|---|")
    origins = np.array(unseen.origins)
    for name in ("all", *sentiment.FILES):
        of = np.ones(len(right), dtype=bool) if name == "all" else origins == name
        print(f"| {name} | {of.sum()} | {right[of].mean():.1%} | {right[of & sure].mean():.1%} |")
    _diagram(Figures.of(scores.max(axis=1), right.astype(np.int64)).reliability, sentiment.NAME)


def _customers(data: Path) -> list[str]:
    with (data / "banking77_train.csv").open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def _requests(data: Path) -> list[str]:
    return [
        each["text"]
        for path in sorted((data / "nlupp").glob("*/fold*.json"))
        for each in json.loads(path.read_text(encoding="utf-8"))
    ]


def _toxicity(data: Path, encoder: Encoder) -> None:
    needed = (*toxicity.FILES.values(), *sentiment.FILES.values(), spam.FILE)
    if missing := [name for name in needed if not (data / name).exists()]:
        print(f"\ntoxicity: not measured, {data} has no {', '.join(missing)}")
        return
    texts = toxicity.read(data)
    unseen, head = texts.of(texts.apart), builtin(toxicity.NAME)
    of = {
        "tweets that were held out": np.isin(unseen.origins, toxicity.CLASSES),
        "comments that were held out": unseen.origins == toxicity.COMMENTS,
    }
    vectors = encoder.embed(unseen.texts)
    raw = Head((FOLDER / toxicity.NAME / f"{toxicity.NAME}.onnx").read_bytes()).score(unseen.texts, vectors)[:, _TOXIC]
    found = {name: (raw[chosen], unseen.targets[chosen]) for name, chosen in of.items()}
    found["all comments, by a head that learnt from none"] = _without_comments(texts, encoder)
    print("\ntoxicity, at one half")
    print("| texts | number | toxic | F1 | precision | recall | AUC | Brier | calibration error |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (scores, targets) in found.items():
        each = Figures.of(scores, targets)
        print(
            f"| {name} | {each.texts} | {targets.sum()} | {each.f1:.4f} | {each.precision:.4f} | {each.recall:.4f} "
            f"| {roc_auc_score(targets, scores):.4f} | {each.brier:.4f} | {each.calibration_error:.4f} |"
        )
    said = head.score(unseen.texts, vectors)[:, _TOXIC]
    threshold = head.card.threshold
    print(f"\ntoxicity as served: a label from {threshold} on, none for what is taken for another language")
    print("| texts | labelled | right of those | precision of toxic | toxic ones found | civil ones called toxic |")
    print("|---|---|---|---|---|---|")
    for name, chosen in of.items():
        scores, targets = said[chosen], unseen.targets[chosen]
        sure, called = np.maximum(scores, 1 - scores) >= threshold, scores >= threshold
        print(
            f"| {name} | {sure.mean():.1%} | {((scores > 0.5) == targets)[sure].mean():.1%} "
            f"| {targets[called].mean():.1%} | {called[targets == 1].mean():.1%} | {called[targets == 0].mean():.1%} |"
        )
    for name in toxicity.CLASSES:
        print(f"{name}: {(said[unseen.origins == name] >= threshold).mean():.1%} called toxic")
    _civil(data, encoder)
    comments = Figures.of(*found["comments that were held out"])
    _diagram(comments.reliability, toxicity.NAME)


def _without_comments(texts: toxicity.Texts, encoder: Encoder) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What is said of all comments by a head that was learnt from the other texts alone; what they are."""
    comments = texts.of(texts.origins == toxicity.COMMENTS)
    others = toxicity.seen(texts.of(texts.origins != toxicity.COMMENTS))
    head = Head(toxicity.train(others, encoder.embed(others.texts)))
    return head.score(comments.texts, encoder.embed(comments.texts))[:, _TOXIC], comments.targets


def _civil(data: Path, encoder: Encoder) -> None:
    """What texts are taken for that insult nobody, and what becomes of an insult at the end of a long one."""
    sentences = sentiment.read(data)
    negative = sentiment.held_out(sentences.documents) & (sentences.targets == sentiment.LABELS.index("negative"))
    samples = {
        f"negative sentences of {origin} that were held out": list(
            sentences.of(negative & (np.array(sentences.origins) == origin)).texts
        )
        for origin in ("product reviews", "film reviews", "editorials")
    }
    messages = spam.read(data)
    honest = spam.held_out(messages.texts) & (messages.targets == spam.LABELS.index("ham"))
    samples["SMS without spam that were held out"] = list(messages.of(honest).texts)
    if (data / "banking77_train.csv").exists():
        samples |= {"Banking77": _customers(data), "NLU++": _requests(data)}
    head = builtin(toxicity.NAME)
    print("\ntoxicity: texts that insult nobody")
    print("| texts | number | over one half | called toxic | at 0.9 |")
    print("|---|---|---|---|---|")
    for name, some in samples.items():
        scores = head.score(some, encoder.embed(some))[:, _TOXIC]
        shares = [scores > 0.5, scores >= head.card.threshold, scores >= 0.9]
        print(f"| {name} | {len(some)} | {' | '.join(f'{share.mean():.2%}' for share in shares)} |")
    _groups(head, encoder)
    if "Banking77" not in samples:
        return
    texts = toxicity.read(data)
    toxic = texts.of(texts.apart & (texts.origins == toxicity.COMMENTS) & (texts.targets == 1)).texts
    customers = samples["Banking77"]
    long = [f"{' '.join(customers[9 * number :][:8])}\n{text}" for number, text in enumerate(toxic)]
    whole = head.score(long, encoder.embed(long))[:, _TOXIC] >= head.card.threshold
    print(f"\ntoxicity: of {len(long)} toxic comments after 8 of Banking77, as one text, {whole.mean():.1%} are found")


def _groups(head: Judge, encoder: Encoder) -> None:
    """What is said of people who are called what they call themselves, in sentences that nothing was learnt from."""
    for kind, names in (("that the recipe names", toxicity.NAMES), ("that it does not name", OTHERS)):
        some = [sentence.format(name) for name in names for sentence in SENTENCES]
        scores = head.score(some, encoder.embed(some))[:, _TOXIC].reshape(len(names), -1)
        called = (scores >= head.card.threshold).sum(axis=1)
        worst = ", ".join(f"{name} {number}" for name, number in zip(names, called, strict=True) if number)
        print(
            f"| sentences that name groups {kind} | {scores.size} | {(scores > 0.5).mean():.2%} "
            f"| {called.sum() / scores.size:.2%} | {(scores >= 0.9).mean():.2%} |"
            f" {f'of {len(SENTENCES)} each: {worst}' if worst else ''}"
        )


OTHERS: Final = ("bisexual", "white", "Mexican", "Hindu", "blind", "unemployed", "homeless", "divorced", "obese")
"""As people call themselves, beside the names of the recipe."""
SENTENCES: Final = (
    "I am {}.",
    "My neighbour is {} and very kind.",
    "As a {} person I felt welcome here.",
    "Do you have offers for {} people?",
    "I am {} and I was treated badly by your staff.",
)


def _shares(head: Judge, encoder: Encoder, texts: Sequence[list[str]]) -> list[float]:
    together, places = grouped(texts)
    scores = head.score(together, encoder.embed(together))[:, _SPAM]
    worst = np.array([scores[place].max() for place in places])
    return [float((worst >= threshold).mean()) for threshold in _THRESHOLDS]


def _languages() -> tuple[Bin, ...]:
    head = builtin("language")
    known = set(head.card.labels)
    texts = [said for said in catalogued(CATALOGUES) if said.language in known]
    scores = head.score([said.text for said in texts], None)
    named = [head.card.labels[place] for place in scores.argmax(axis=1)]
    sure = scores.max(axis=1)
    right = np.array([name == said.language for name, said in zip(named, texts, strict=True)])
    # On the first half the threshold was chosen.
    second = np.array([sha256(said.text.encode()).digest()[-1] % 2 == 1 for said in texts])
    believed = sure >= head.card.threshold
    languages = sorted({said.language for said in texts})
    print(f"\nlanguage: {len(texts)} messages of programs in {len(languages)} languages, {', '.join(languages)}")
    print("| texts | number | right | believed | right of those |")
    print("|---|---|---|---|---|")
    lengths = np.array([len(said.text) for said in texts])
    rows = {
        "all": np.ones(len(texts), dtype=bool),
        "the half that nothing was chosen on": second,
        **{f"{low} to {high - 1} characters": (lengths >= low) & (lengths < high) for low, high in _LENGTHS},
    }
    for name, rows_of in rows.items():
        print(
            f"| {name} | {rows_of.sum()} | {right[rows_of].mean():.2%} | {believed[rows_of].mean():.2%} "
            f"| {right[rows_of & believed].mean():.2%} |"
        )
    by_language: dict[str, list[bool]] = defaultdict(list)
    taken: dict[str, Counter[str]] = defaultdict(Counter)
    for said, name, is_right in zip(texts, named, right, strict=True):
        by_language[said.language].append(bool(is_right))
        if not is_right:
            taken[said.language][name] += 1
    print("\n| language | right | mostly taken for |")
    print("|---|---|---|")
    for language, answers in sorted(by_language.items(), key=lambda each: sum(each[1]) / len(each[1])):
        if sum(answers) / len(answers) < 0.9:
            others = ", ".join(f"{name} ({times})" for name, times in taken[language].most_common(3))
            print(f"| {language} | {sum(answers) / len(answers):.1%} | {others} |")
    return Figures.of(sure, right.astype(np.int64)).reliability


_LENGTHS: Final = ((20, 30), (30, 50), (50, 100), (100, 10_000))


def catalogued(folder: Path) -> Iterator[Said]:
    """Messages of programs by language, without the places that are filled in: `_MOST` of each language, chosen by
    their checksums, of languages that have at least `_LEAST`."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.glob("*/LC_MESSAGES/*.mo")):
        language = re.split(r"[_.]", path.parent.parent.name)[0]
        # What stands behind an @ is another script, or another way to write.
        if path.stem not in PROGRAMS or len(language) != 2 or "@" in path.parent.parent.name:
            continue
        for original, translated in _messages(path):
            if _is_prose(translated) and translated != original:
                found[_ALIASES.get(language, language)].add(translated)
                if language == "de" and _is_prose(original):
                    found["en"].add(original)
    for language, texts in sorted(found.items()):
        if len(texts) >= _LEAST:
            for text in sorted(texts, key=lambda each: sha256(each.encode()).digest())[:_MOST]:
                yield Said(language, text)


def _messages(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open("rb") as file:
            catalogue: Mapping[object, object] = vars(gettext.GNUTranslations(file))["_catalog"]
    except (IndexError, ValueError):  # some are not well formed
        return
    for key, value in catalogue.items():
        original = key[0] if isinstance(key, tuple) else key
        if isinstance(original, str) and isinstance(value, str) and original:
            yield _plain(original), _plain(value)


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub("", text.rpartition("\x04")[2]).split())


def _is_prose(text: str) -> bool:
    has_code = any(sign in text for sign in ("http", "--", "\x1b"))
    return len(text) >= 20 and sum(map(str.isalpha, text)) >= 15 and not has_code


def _diagram(bins: Sequence[Bin], name: str) -> None:
    """A reliability diagram: on the line, what is said with a probability is right that often."""
    most = max(each.texts for each in bins)
    dots = "".join(
        f'<circle cx="{40 + 240 * each.said:.1f}" cy="{280 - 240 * each.found:.1f}" '
        f'r="{3 + 7 * (each.texts / most) ** 0.5:.1f}"><title>{each.texts} texts</title></circle>'
        for each in bins
    )
    (PAGES / f"{name}.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 320" font-family="sans-serif" font-size="12">\n'
        f"<title>Reliability of the head {name}</title>\n"
        '<rect width="300" height="320" fill="#fff"/>\n'
        '<path d="M40 280V40M40 280H280" stroke="#444" fill="none"/>\n'
        '<path d="M40 280L280 40" stroke="#999" stroke-dasharray="4"/>\n'
        f'<g fill="#2463a8" fill-opacity=".75">{dots}</g>\n'
        '<text x="160" y="308" text-anchor="middle">said</text><text x="40" y="296">0</text>'
        '<text x="274" y="296">1</text>\n<text x="14" y="160">found</text><text x="26" y="44">1</text>\n</svg>\n',
        encoding="utf-8",
    )


def main() -> None:
    """Run by hand."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    given = options.parse_args()
    print(describe())
    run(given.data)


if __name__ == "__main__":
    main()
