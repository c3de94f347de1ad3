"""Freezing an audience: one statement that reads the members and writes a plan's recipients.

Everything about a million of them is decided by the database: wallet, route, arm, language, and the facts
their texts name. Nothing of it passes through this process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import wallets
from app.campaigns.arms import arm_sql, bucket_sql, is_divided
from app.campaigns.consent import agrees, newest_words, suppressed_on
from app.campaigns.definition import HOLD_OUT, REST, Definition
from app.campaigns.history import full_of
from app.campaigns.models import Recipient
from app.campaigns.spelling import Facts, facts_spelling
from app.campaigns.wording import is_fixed
from app.members.models import Account, Member, Program, Tier
from app.passes.models import Pass

ZONE_ANSWER = "time_zone"  # the answer that holds a member's own zone, where a form asks for it


@dataclass(frozen=True)
class Freezing:
    """What the audience is frozen for."""

    plan_id: str
    campaign_id: str
    program: Program
    definition: Definition
    seed: str
    names: frozenset[str]  # what the texts name
    now: datetime


async def zones_of(session: AsyncSession, freezing: Freezing, audience: ColumnElement[bool]) -> list[str]:
    """The clocks of the audience, as their answers name them and as we know them."""
    ours = freezing.program.time_zone
    if freezing.definition.zone == "program":
        return [ours]
    said = _facts(session).answer_text(ZONE_ANSWER)
    found = await session.scalars(
        select(said).select_from(_members()).where(_in(freezing, audience), said.is_not(None)).distinct()
    )
    return sorted({ours, *found})


async def freeze(
    session: AsyncSession, freezing: Freezing, audience: ColumnElement[bool], *, zones: set[str]
) -> None:
    """Write the recipients of a plan, positions from 1, members of one account side by side."""
    await take_time(session)
    columns = [
        *("member_id", "account_id", "zone", "language", "wallet", "variant", "facts", "route", "reason"),
        *("state", "plan_id", "position", "program_id", "campaign_id"),
    ]
    await session.execute(insert(Recipient).from_select(columns, _chosen(session, freezing, audience, zones)))
    await _pass_over_repeats(session, freezing)


def _chosen(
    session: AsyncSession, freezing: Freezing, audience: ColumnElement[bool], zones: set[str]
) -> Select[*tuple[Any, ...]]:
    """Every column of a recipient, in the order of sending."""
    # Materialized: otherwise PostgreSQL works every expression out again wherever it is named.
    found = _found(session, freezing, audience, zones).cte("found").prefix_with("MATERIALIZED")
    definition = freezing.definition
    variant = arm_sql(definition, found.c.bucket)
    is_held = variant.in_((HOLD_OUT, REST))
    bonus = _points(definition, variant)
    # Without a way to be told, a member still gets the points: the balance is theirs.
    route = case((and_(found.c.route == "nobody", bonus > 0, found.c.active), "points"), else_=found.c.route)
    state = case((route == "nobody", "skipped"), (is_held, "held"), else_="planned")
    order = (found.c.zone, found.c.account_id, found.c.member_id)
    return select(
        *(found.c[name] for name in ("member_id", "account_id", "zone", "language", "wallet")),
        variant,
        found.c.facts,
        route,
        found.c.reason,
        state,
        literal(freezing.plan_id),
        func.row_number().over(order_by=order),
        literal(freezing.program.id),
        literal(freezing.campaign_id),
    ).select_from(found)


def _found(
    session: AsyncSession, freezing: Freezing, audience: ColumnElement[bool], zones: set[str]
) -> Select[*tuple[Any, ...]]:
    """The audience with what is known of each member."""
    program, definition = freezing.program, freezing.definition
    facts = _facts(session)
    held = wallets.held_by_member(program.id)
    wallet = wallets.label(held)
    language = case(
        (Member.language.in_(definition.languages), Member.language),
        else_=definition.default_language or literal(""),
    )
    zone: ColumnElement[str] = literal(program.time_zone)
    if definition.zone == "member":
        said = facts.answer_text(ZONE_ANSWER)
        zone = case((said.in_(sorted(zones)), said), else_=program.time_zone)
    bucket: ColumnElement[int] = literal(0)
    if is_divided(definition):
        bucket = bucket_sql(freezing.seed, Member.id, database=session.get_bind().dialect.name)
    words = newest_words(program.id)
    channels: set[str] = {"wallet", definition.channel}
    if definition.fallback is not None:
        channels.add(definition.fallback.channel)
    suppressed = {channel: suppressed_on(program.id, channel) for channel in sorted(channels)}
    joined = (
        _members()
        .outerjoin(Tier, Tier.id == Account.tier_id)
        .outerjoin(held, held.c.member_id == Member.id)
        .outerjoin(words, words.c.member_id == Member.id)
    )
    for each in suppressed.values():
        joined = joined.outerjoin(each, each.c.member_id == Member.id)
    agreed = {
        channel: agrees(channel, words.c.given, suppressed[channel].c.member_id) for channel in channels
    }
    route, reason = _route(freezing, wallet, agreed)
    return (
        select(
            Member.id.label("member_id"),
            Member.account_id.label("account_id"),
            zone.label("zone"),
            language.label("language"),
            wallet.label("wallet"),
            bucket.label("bucket"),
            facts.object_of(freezing.names, language).label("facts"),
            route.label("route"),
            reason.label("reason"),
            (Member.state == "active").label("active"),
        )
        .select_from(joined)
        .where(_in(freezing, audience))
    )


def _route(
    freezing: Freezing, wallet: ColumnElement[str], agreed: Mapping[str, ColumnElement[bool]]
) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """How each member is reached, and why not by their wallet."""
    program_id, definition = freezing.program.id, freezing.definition
    full: ColumnElement[bool] = literal(value=False)
    if definition.cap is not None:
        full = Member.id.in_(full_of(program_id, definition.cap, freezing.now))
    blocked = Member.state != "active"
    routes: list[tuple[ColumnElement[bool], str]] = [(full | blocked, "nobody")]
    reasons: list[tuple[ColumnElement[bool], str]] = [(full, "cap"), (blocked, "blocked")]
    if definition.channel == "wallet":
        routes.append((and_(wallet != "none", agreed["wallet"]), "wallet"))
        reasons.append((wallet == "none", "no_wallet"))
    else:
        routes.append(
            (and_(_has_address(definition.channel), agreed[definition.channel]), definition.channel)
        )
        reasons.append((~_has_address(definition.channel), "no_address"))
    if definition.fallback is not None:
        channel = definition.fallback.channel
        routes.append((and_(wallet == "none", _has_address(channel), agreed[channel]), channel))
    reasons.append((~agreed[definition.channel], "no_consent"))
    return case(*routes, else_="nobody"), case(*reasons, else_="")


def _has_address(channel: str) -> ColumnElement[bool]:
    return (Member.phone if channel == "sms" else Member.email).is_not(None)


def _points(definition: Definition, variant: ColumnElement[str]) -> ColumnElement[int]:
    given = [(variant == arm.name, definition.points_of(arm.name)) for arm in definition.arms]
    return case(*given, else_=definition.points)


async def _pass_over_repeats(session: AsyncSession, freezing: Freezing) -> None:
    """Leave out those whose pass shows this very text: the phone would stay silent."""
    definition = freezing.definition
    for arm in definition.arms:
        for language, source in arm.texts.items():
            if definition.points_of(arm.name) or not is_fixed(source):
                continue
            shown = select(Pass.member_id).where(
                Pass.program_id == freezing.program.id, Pass.state == "active", Pass.message == source.strip()
            )
            statement = (
                update(Recipient)
                .where(
                    Recipient.plan_id == freezing.plan_id,
                    Recipient.route == "wallet",
                    Recipient.state == "planned",
                    Recipient.variant == arm.name,
                    Recipient.language == language,
                    Recipient.member_id.in_(shown),
                )
                .values(state="skipped", reason="same_text")
            )
            await session.execute(statement, execution_options={"synchronize_session": False})


def _members() -> Any:
    return Member.__table__.join(Account.__table__, Account.id == Member.account_id)


def _in(freezing: Freezing, audience: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(Member.program_id == freezing.program.id, audience)


def _facts(session: AsyncSession) -> Facts:
    return facts_spelling(session.get_bind().dialect.name)


async def take_time(session: AsyncSession) -> None:
    """Lift the server's limit on a statement, in this transaction: a million rows take their time.

    They also take memory: hashes and sorts of 4 MB, the server's default, would go by the disk.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET LOCAL statement_timeout = '300s'"))
        await session.execute(text("SET LOCAL work_mem = '64MB'"))
