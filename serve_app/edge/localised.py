"""A published form in one of its languages, for clients that show it themselves (F8)."""

from collections import OrderedDict
from typing import Any, Final

from deployments.forms.contracts import PublishedForm
from deployments.kit.engine import stored_definition
from serve_app.edge.form_pages.texts import negotiated

_KEPT: Final = 512


class LocalisedForms:
    """Keeps what it has translated: published versions never change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, str], dict[str, Any]] = OrderedDict()

    def in_language(self, form: PublishedForm, asked: str | None, accepted: str | None) -> tuple[PublishedForm, str]:
        """The form in the best of its languages for `?lang=` and `Accept-Language`, and that language.

        Where neither is given, the form is as its author wrote it, with all translations.
        """
        language = negotiated(form.languages, asked, accepted)
        if not asked and not accepted:
            return form, language
        key = (form.id, form.version, language)
        document = self._kept.get(key)
        if document is None:
            document = self._kept[key] = stored_definition(form.definition).localized(language).document()
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        title = document.get("title") or form.title
        return form.model_copy(update={"definition": document, "title": title}), language
