"""What other contexts name by a code, in the words of letters."""

from collections.abc import Mapping
from typing import Any, Final

_WORDS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "factor": {
        "totp": {"en": "an authenticator app", "de": "eine Authenticator-App"},
        "sms": {"en": "codes by text message", "de": "Codes per SMS"},
        "email": {"en": "codes by e-mail", "de": "Codes per E-Mail"},
        "phone": {"en": "the telephone number", "de": "die Telefonnummer"},
    },
    "what": {
        "max_forms": {"en": "forms", "de": "Formulare"},
        "max_responses_per_form": {"en": "responses in a form", "de": "Antworten in einem Formular"},
        "max_users": {"en": "people", "de": "Personen"},
        "max_webhooks": {"en": "webhooks", "de": "Webhooks"},
        "max_storage_bytes": {"en": "bytes of files", "de": "Bytes an Dateien"},
    },
}


def in_words(values: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The values with codes in words of the language. `phone:•••12` is a word and what follows it."""
    spoken = dict(values)
    for name in _WORDS.keys() & values.keys():
        code, _, rest = str(values[name]).partition(":")
        word = _WORDS[name].get(code)
        if word is not None:
            spoken[name] = f"{word.get(language, word['en'])} {rest}".strip()
    return spoken
