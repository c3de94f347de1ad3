"""Pass templates: folders a designer can hold, compare and send."""

from app.wallets.templates.definition import Definition, PassField
from app.wallets.templates.load import load_template, load_templates
from app.wallets.templates.model import PassTemplate, TemplateError, UnknownTemplate

__all__ = [
    "Definition",
    "PassField",
    "PassTemplate",
    "TemplateError",
    "UnknownTemplate",
    "load_template",
    "load_templates",
]
