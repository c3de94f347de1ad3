"""What a segment may ask about a member: every field with its type, its operators and its options.

The labels people read stand in the interface's texts under "fields.<name>"; a form's questions bring theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enrolment.forms import parse_definition
from app.enrolment.models import Form
from app.members.models import Tier

Type = Literal["text", "number", "choice", "choices", "yes_no", "date", "moment"]
Takes = Literal["text", "texts", "number", "days", "yes_no", "date", "moment"]

ANSWER = "answers."

# By type of field: what may be asked of it, and the value that takes. `known` is true of every type:
# whether there is anything at all.
OPERATORS: dict[Type, dict[str, Takes]] = {
    "text": {"is": "text", "one_of": "texts", "starts_with": "text", "contains": "text", "known": "yes_no"},
    "number": {
        "is": "number",
        "at_least": "number",
        "at_most": "number",
        "above": "number",
        "below": "number",
        "known": "yes_no",
    },
    "choice": {"is": "text", "one_of": "texts", "known": "yes_no"},
    "choices": {"includes": "text", "known": "yes_no"},
    "yes_no": {"is": "yes_no", "known": "yes_no"},
    "date": {
        "is": "date",
        "before": "date",
        "after": "date",
        "anniversary_within_days": "days",
        "known": "yes_no",
    },
    "moment": {
        "before": "moment",
        "after": "moment",
        "within_days": "days",
        "older_than_days": "days",
        "anniversary_within_days": "days",
    },
}
WALLETS = ("apple", "google", "walletpasses", "pass2u", "web")
ENTRY_KINDS = ("opening", "earn", "redeem", "adjust", "reverse", "expire")


@dataclass(frozen=True)
class Field:
    """Something a condition may ask. `options` are the values there are; none: any."""

    name: str
    type: Type
    options: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])  # of a form's question, by language


OF_EVERY_PROGRAM: tuple[Field, ...] = (
    Field("name", "text"),
    Field("phone", "text"),
    Field("email", "text"),
    Field("card_number", "text"),
    Field("language", "choice"),
    Field("state", "choice", ("active", "blocked")),
    Field("birthday", "date"),
    Field("age", "number"),
    Field("joined", "moment"),
    Field("joined_through", "choices"),
    Field("points", "number"),
    Field("tier_points", "number"),
    Field("installed", "yes_no"),
    Field("wallets", "choices", WALLETS),
)


async def fields_of(session: AsyncSession, program_id: str) -> dict[str, Field]:
    """Every field of a programme by name: those of all, its tiers, and the questions of its forms."""
    codes = await session.scalars(
        select(Tier.code).where(Tier.program_id == program_id).order_by(Tier.threshold)
    )
    known = {each.name: each for each in (*OF_EVERY_PROGRAM, Field("tier", "choice", tuple(codes)))}
    forms = await session.scalars(select(Form).where(Form.program_id == program_id).order_by(Form.id))
    return known | _questions(forms.all())


def _questions(forms: Sequence[Form]) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for form in forms:
        for question in parse_definition(form.definition).questions:
            name = ANSWER + question.key
            options = tuple(option.value for option in question.options)
            found[name] = Field(name, question.kind, options, question.label)
    return found
