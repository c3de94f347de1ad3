"""The story of a pass with what it says about a silent phone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.passes import google_diagnosis, issue, trace
from app.passes.diagnosis import Finding, diagnose
from app.passes.models import GoogleObject, Registration, TraceEvent, Update
from app.passes.versions import APPLE, GOOGLE
from app.wallets.templates import PassTemplate


@dataclass(frozen=True)
class Story:
    """What happened to a pass, oldest first, and the findings."""

    events: Sequence[TraceEvent]
    findings: Sequence[Finding]


async def tell(
    session: AsyncSession,
    templates: Mapping[str, PassTemplate],
    program_id: str,
    pass_id: str,
    *,
    now: datetime,
) -> Story:
    """The story of a pass with its diagnosis. Raises UnknownPass."""
    issued = await issue.by_id(session, program_id, pass_id)
    events = await trace.story(session, pass_id)
    owed = await session.get(Update, (pass_id, APPLE))
    holders = select(Registration).where(Registration.pass_id == pass_id)
    registrations = (await session.scalars(holders)).all()
    announced = announced_by(templates.get(issued.template))
    at_google = await session.get(GoogleObject, pass_id)
    found = diagnose(
        issued,
        owed,
        registrations,
        [each for each in events if each.details.get("wallet") != GOOGLE],
        announced=announced,
        is_held_elsewhere=at_google is not None and at_google.has_users,
        now=now,
    )
    of_google = google_diagnosis.diagnose(at_google, await session.get(Update, (pass_id, GOOGLE)), events)
    if of_google:
        found = [*(each for each in found if each.code != "up_to_date"), *of_google]
    return Story(events, found)


def announced_by(template: PassTemplate | None) -> frozenset[str]:
    """The names of values whose change a template announces on the lock screen."""
    if template is None:
        return frozenset()
    language = template.languages[0]
    return frozenset(
        name
        for field in template.definition.fields
        if field.change_message
        for name in template.text(field.value, language).names
    )
