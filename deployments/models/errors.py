"""What models can refuse."""

from pathlib import Path

from deployments.kit.errors import Invalid, Unavailable


class ModelMissing(Unavailable):
    """There is no such model here; what needs it is switched off until it is there."""

    code, title = "model.missing", "The model is not installed"


class ModelUnusable(Unavailable):
    """The configured model is there and cannot do it."""

    code, title = "model.unusable", "The model cannot be used"


class ModelDamaged(RuntimeError):
    """A file of a model is not what was registered; whatever it says would be worth nothing."""

    def __init__(self, name: str, path: Path | str, reason: str) -> None:
        super().__init__(f"the model {name} is damaged: {path}: {reason}")
        self.name, self.path, self.reason = name, path, reason

    def __reduce__(self) -> tuple[type["ModelDamaged"], tuple[str, Path | str, str]]:
        return type(self), (self.name, self.path, self.reason)


class SourceMissing(RuntimeError):
    """The package that carries a model's weights is not installed."""


class ModelFailed(Invalid):
    """A model that a tenant brought did not answer: it took too much time or memory."""

    code, title = "model.failed", "The model did not answer"


class HeadDamaged(Unavailable):
    """The file of a head is not what was stored; whatever it says would be worth nothing."""

    code, title = "head.damaged", "The classifier's file is damaged"


class HeadOutdated(Unavailable):
    """A head was trained on vectors of another encoder than the one that is installed."""

    code, title = "head.outdated", "The classifier has to be trained again"
