"""What can go wrong with forms."""

from deployments.kit.errors import Conflict, Invalid, NotFound, PreconditionFailed
from deployments.kit.quotas import QuotaReached


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class VersionNotFound(NotFound):
    code, title = "form.version_not_found", "The form has no such version"


class TemplateNotFound(NotFound):
    code, title = "template.not_found", "There is no such template"


class SlugTaken(Conflict):
    code, title = "form.slug_taken", "Another form has this slug"


class NeverPublished(Conflict):
    code, title = "form.never_published", "The form has no published version"


class NotInTrash(Conflict):
    code, title = "form.not_in_trash", "The form is not in the trash"


class TooManyTemplates(Conflict):
    code, title = "template.too_many", "The tenant holds as many templates as it may"


class TemplateBuiltIn(Conflict):
    code, title = "template.built_in", "A template that comes with the platform cannot be deleted"


class FormQuotaReached(QuotaReached):
    code, title, quota = "quota.forms", "The tenant holds as many forms as it may", "max_forms"


class RevisionOutdated(PreconditionFailed):
    code, title = "form.revision_outdated", "The form has changed since it was read"


class IncompatibleChange(Invalid):
    code, title = "form.incompatible_change", "A published field cannot change its type"


class InvalidSettings(Invalid):
    code, title = "form.invalid_settings", "The settings are not valid"
