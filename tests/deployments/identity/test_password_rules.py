"""U1: which passwords nobody may choose."""

import pytest

from deployments.identity.service.password_rules import check
from deployments.kit.errors import Invalid


@pytest.mark.parametrize(
    "password",
    [
        *(
            "ada.lovelace@Analytical-Engines.example.com",
            "ADA LOVELACE",
            "augusta-ada-king",
            "Formstream",
            "form stream",
        ),
        *("analytical-engines", "AnalyticalEngines", "analytical-engines.example.com"),
    ],
)
def test_a_word_that_is_tried_next_is_refused(password: str) -> None:
    """ASVS 5.0, 6.2.11: the account's own words and the platform's, however they are spelled."""
    with pytest.raises(Invalid) as refused:
        check(password, "ada.lovelace@analytical-engines.example.com", "Augusta Ada King", "/password")
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/password", "password.personal")]


@pytest.mark.parametrize(
    "password", ["formstream-1843", "analytical engines and looms", "ada lovelace's own", "é" * 64]
)
def test_others_are_taken_as_they_are(password: str) -> None:
    check(password, "ada.lovelace@analytical-engines.example.com", "Augusta Ada King", "/password")


def test_an_address_without_a_domain_leaves_no_empty_word() -> None:
    check("correct horse battery", "ada", "Ada", "/password")
