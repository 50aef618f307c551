"""What inference can refuse."""

from deployments.kit.errors import Conflict, Invalid, NotFound, Unavailable


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class NothingConfigured(Conflict):
    code, title = "enrichment.not_configured", "The form's settings name nothing for models"


class IndexBehind(Unavailable):
    code, title = "search.behind", "The index of meanings is being made"


class ModelNotFound(NotFound):
    code, title = "model.not_found", "There is no such model"


class ModelNotReady(Conflict):
    """The model was not checked yet, or was refused."""

    code, title = "model.not_ready", "The model does not serve"


class ModelOfOtherKind(Conflict):
    """The model labels texts where parts of them are wanted, or the other way round."""

    code, title = "model.kind", "The model labels something else"


class TooManyModels(Conflict):
    code, title = "model.too_many", "The tenant has as many models as it may"


class ClassifierNotFound(NotFound):
    code, title = "classifier.not_found", "There is no such classifier"


class ClassifierVersionNotFound(NotFound):
    code, title = "classifier.version_not_found", "There is no such version"


class ExampleNotFound(NotFound):
    code, title = "classifier.example_not_found", "There is no such example"


class ClassifierNameTaken(Conflict):
    code, title = "classifier.name_taken", "There is a classifier of that name"


class ClassifierUntrained(Conflict):
    code, title = "classifier.untrained", "No version of the classifier was trained yet"


class TooManyClassifiers(Conflict):
    code, title = "classifier.too_many", "The tenant has as many classifiers as it can"


class InvalidClassifier(Invalid):
    code, title = "classifier.invalid", "The classifier is not valid"


class NoField(Conflict):
    code, title = "classifier.no_field", "The classifier belongs to no field of a form"


class SnippetNotFound(NotFound):
    code, title = "snippet.not_found", "There is no such snippet"


class InvalidSnippet(Invalid):
    code, title = "snippet.invalid", "The snippet is not valid"


class TooManySnippets(Conflict):
    code, title = "snippet.too_many", "There are as many snippets as there may be"


class SummaryNotFound(NotFound):
    """There is none, it is over, or it is about what the reader does not get to see."""

    code, title = "summary.not_found", "There is no such summary"


class TooManySummaries(Conflict):
    code, title = "summary.too_many", "There are as many summaries as there may be"


class InvalidGeneration(Invalid):
    code, title = "generation.invalid", "What is to be written is not clear"
