"""Pass templates: what they show, in which languages, and what the lint says. Read only: they are folders."""

from functools import cache
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from app.wallets import lint
from app.wallets.templates import PassTemplate
from app.web.api.keys import TemplatesRead
from app.web.api.values import Given, IdInPath, Page
from app.web.dependencies import FromServices
from app.web.errors import Problem

router = APIRouter(tags=["templates"])


class FieldOut(Given):
    """A field of a template."""

    key: str = Field(examples=["points"])
    label: str = Field(description='A text, or "@key" of one in the languages\' files')
    value: str = Field(examples=["{{ points|number }}"])
    placement: str = Field(examples=["header"])
    change_message: str = Field(description="Empty: a change of it rings no phone")


class LintOut(Given):
    """A fault the lint found."""

    level: Literal["error", "warning"]
    code: str = Field(examples=["missing-icon"])
    where: str
    text: str


class TemplateOut(Given):
    """How a kind of pass looks."""

    name: str = Field(examples=["coffee"])
    object: Literal["template"] = "template"
    style: str = Field(examples=["storeCard"])
    languages: list[str] = Field(examples=[["en", "ru"]])


class TemplateDetailsOut(TemplateOut):
    """A template with its fields and faults."""

    fields: list[FieldOut]
    problems: list[LintOut]


@router.get("/templates", summary="List the pass templates")
async def list_templates(caller: TemplatesRead, services: FromServices) -> Page[TemplateOut]:
    templates = sorted(services.templates.values(), key=lambda template: template.name)
    return Page(
        data=[
            TemplateOut(name=each.name, style=each.style, languages=list(each.languages))
            for each in templates
        ],
        has_more=False,
        next_cursor=None,
    )


@router.get("/templates/{name}", summary="One pass template: fields, languages, faults")
def get_template(name: IdInPath, caller: TemplatesRead, services: FromServices) -> TemplateDetailsOut:
    template = services.templates.get(name)
    if template is None:
        raise Problem(404, "unknown_template", f"no pass template {name}")
    return TemplateDetailsOut(
        name=template.name,
        style=template.style,
        languages=list(template.languages),
        fields=[
            FieldOut(
                key=field.key,
                label=field.label,
                value=field.value,
                placement=field.placement,
                change_message=field.change_message,
            )
            for field in template.definition.fields
        ],
        problems=[
            LintOut(level=each.level, code=each.code, where=each.where, text=each.text)
            for each in _problems(template)
        ],
    )


@cache  # a template is loaded once, and compiling its samples takes some milliseconds
def _problems(template: PassTemplate) -> list[lint.Problem]:
    return lint.check(template)
