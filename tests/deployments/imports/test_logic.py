"""Conditions of other formats, translated both ways, and what cannot be."""

import time

import pytest

from deployments.imports.logic import formstream, surveyjs, xpath
from deployments.imports.logic.patterns import full_pattern, searching_pattern
from deployments.imports.logic.subjects import Subject, adopt
from deployments.imports.logic.tree import Untranslatable
from deployments.imports.naming import Names

SUBJECTS = {
    "age": Subject("age", "integer"),
    "sex": Subject("sex", "choice", {"m": "male"}),
    "ms": Subject("ms", "multi_choice", {}, {"other": "other"}),
    "yn": Subject("yn", "yes_no", {"yes": True, "no": False}),
    "t": Subject("t", "short_text"),
}


class TestXPath:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("${age} > 18 and ${sex} = 'm'", "answers.age > 18 and answers.sex == 'male'"),
            ("selected(${ms}, 'a') or selected( ${sex}, 'm')", "answers.ms contains 'a' or answers.sex == 'male'"),
            ("${t} = ''", "empty(answers.t)"),
            ("${t} != 'x'", "not (answers.t == 'x')"),
            ("not(${t} != '')", "empty(answers.t)"),
            ("${yn} = 'yes'", "answers.yn == true"),
            ("count-selected(${ms}) >= 2", "count(answers.ms) >= 2"),
            ("string-length(${t}) > 3", "length(answers.t) > 3"),
            ("-5 < ${age}", "answers.age > -5"),
            ("“x” = ${t} or (${age} < 1 and ${age} > .5)", "answers.t == 'x' or answers.age < 1 and answers.age > 0.5"),
        ],
    )
    def test_is_translated(self, text: str, expected: str) -> None:
        """F6: an absent answer is the empty text, as XPath has it."""
        assert formstream.write(adopt(xpath.read(text), SUBJECTS)) == expected

    @pytest.mark.parametrize(
        "text",
        ["${nobody} = 1", "position(..) = 1", "../x = 1", "${age} >", "x" * 30_000, "not(" * 4_000 + "1" + ")" * 4_000],
        ids=range(6),
    )
    def test_what_cannot_be_says_why(self, text: str) -> None:
        with pytest.raises(Untranslatable, match=r"\w"):
            adopt(xpath.read(text), SUBJECTS)

    def test_is_written(self) -> None:
        """F6: with the same meaning for an absent answer."""
        writer = xpath.Writer(SUBJECTS, lambda field, part: field if part is None else f"{field}_{part}")
        for own, expected in (
            ("answers.t != 'x'", "${t} != '' and ${t} != 'x'"),
            ("not empty(answers.t)", "not(${t} = '')"),
            ("answers.yn and answers.ms contains 'a'", "${yn} = 'yes' and selected(${ms}, 'a')"),
            ("answers.sex in ['male', 'x']", "${sex} = 'm' or ${sex} = 'x'"),
            ("answers.t == null or answers.age", "${t} = '' or (${age} != '' and ${age} != 0)"),
        ):
            assert writer.write(formstream.read(own)) == expected


class TestSurveyJS:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{ms} contains 'a' || {sex} anyof ['m', 'c']", None),
            ("{t} notempty && ({t} <> 'x' or {yn} = true)", None),
            ("{ms.length} >= 2", "count(answers.ms) >= 2"),
            ("{ms} allof ['a', 'b']", "answers.ms contains 'a' and answers.ms contains 'b'"),
            ("{ms} = ['a']", "answers.ms == ['a']"),
            ("{ms-Comment} = 'x'", "answers.ms.other == 'x'"),
            ("!({yn} = true)", "not (answers.yn == true)"),
            ("{yn} = 'yes'", "answers.yn == true"),
            ("{AGE} greater 3", ""),
        ],
    )
    def test_is_translated(self, text: str, expected: str | None) -> None:
        """F6: signs and words."""
        if expected == "":
            with pytest.raises(Untranslatable, match="AGE"):
                adopt(surveyjs.read(text), SUBJECTS)
            return
        written = formstream.write(adopt(surveyjs.read(text), SUBJECTS))
        if expected is not None:
            assert written == expected
        again = surveyjs.Writer({subject.id: subject for subject in SUBJECTS.values()}).write(formstream.read(written))
        assert formstream.write(adopt(surveyjs.read(again), {s.id: s for s in SUBJECTS.values()})) == written

    @pytest.mark.parametrize("text", ["{panel.x} = 1", "{a[0].b} = 1", "age({t}) > 3", "{t} =", "myFunction({t})"])
    def test_what_cannot_be_says_why(self, text: str) -> None:
        with pytest.raises(Untranslatable, match=r"\w"):
            adopt(surveyjs.read(text), SUBJECTS)


class TestPatterns:
    @pytest.mark.parametrize("pattern", ["[A-Z]+", "a|b", "(a|b)c", r"\d\|x", "[|]"])
    def test_come_back(self, pattern: str) -> None:
        assert full_pattern(searching_pattern(pattern)) in (pattern, f"({pattern})")

    def test_what_is_looked_for_may_stand_anywhere(self) -> None:
        assert full_pattern("x") == "(?s:.*)(?:x)(?s:.*)"


def test_the_same_title_many_times_takes_no_time() -> None:
    """H3: hostile files cost time in proportion to their size."""
    names, start = Names(), time.process_time()
    assert len({names.make("same", "x") for _ in range(50_000)}) == 50_000
    assert time.process_time() - start < 5
