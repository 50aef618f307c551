"""What can be wrong with asking for figures."""

from deployments.kit.errors import Invalid, NotFound


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class InvalidQuestion(Invalid):
    code, title = "analytics.invalid", "The question cannot be answered"
