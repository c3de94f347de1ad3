"""Conditions: what is refused is refused by its place, and both compilers always agree."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.asking import Asking
from app.campaigns.audience import compile_condition, members_where
from app.campaigns.conditions import Condition, InvalidCondition, parse
from app.campaigns.facts import Facts, facts_of, matches
from app.campaigns.fields import ENTRY_KINDS, OPERATORS, WALLETS, Field, fields_of
from app.campaigns.models import Campaign, Plan, Recipient
from app.db import new_id, open_engine, open_sessions
from app.enrolment.models import Form, Submission
from app.members.models import Member, Program, Tier
from app.passes.models import GoogleObject, Registration
from app.points.models import Entry, Lot
from tests.make import NOON, make_account, make_member, make_pass, make_program, make_tier

ASKING = Asking.at(NOON, "Europe/Moscow")
QUESTIONS = {"drink": "choice", "toys": "choices", "visits": "number", "since": "date", "cup": "yes_no"}
FIELDS = {each.name: each for each in (Field("points", "number"), Field("tier", "choice", ("gold",)))}
TEXTS = ("", "Anna", "Анна", "an", "на", "espresso", "tea", "a%b_", "2030-06-03")
DATES = ("2030-06-03", "2030-06-04", "2004-02-29", "1999-12-31", "2012-02-28", "2030-02-28")
NUMBERS = (-1, 0, 1, 2, 5, 26, 100)
MOMENTS = tuple(NOON - timedelta(days=days) for days in (-1, 0, 1, 7, 30))
ANSWERS: tuple[Any, ...] = (
    *(TEXTS + DATES),
    *NUMBERS,
    True,
    False,
    [],
    ["tea"],
    ["espresso", "tea"],
)


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ([], ""),
        ({}, ""),
        ({"all": [], "any": []}, ""),
        ({"all": {}}, "/all"),
        ({"all": [{"field": "shoe_size", "op": "is", "value": 1}]}, "/all/0/field"),
        ({"not": {"field": ["points"]}}, "/not/field"),
        ({"field": "points", "op": "contains", "value": "1"}, "/op"),
        ({"field": "points", "op": "at_least"}, "/value"),
        ({"field": "points", "op": "at_least", "value": True}, "/value"),
        ({"field": "points", "op": "at_least", "value": 2**60}, "/value"),
        ({"field": "points", "op": "at_least", "value": 1, "unit": "kg"}, "/unit"),
        ({"field": "tier", "op": "is", "value": "platinum"}, "/value"),
        ({"events": {"kinds": [], "op": "is", "value": 1}}, "/events/kinds"),
        ({"events": {"kinds": ["dance"], "op": "is", "value": 1}}, "/events/kinds/0"),
        ({"events": {"kinds": ["earn"], "op": "is", "value": 1, "within_days": -1}}, "/events/within_days"),
        ({"expiring": {"op": "is", "value": 1}}, "/expiring/within_days"),
        ({"campaign": {"id": 5}}, "/campaign/id"),
        ({"pass_expiring": {"template": "coupon"}}, "/pass_expiring/within_days"),
        ({"pass_expiring": {"within_days": 3, "template": ""}}, "/pass_expiring/template"),
        ({"calendar": {"dates": []}}, "/calendar/dates"),
        ({"calendar": {"dates": ["12-31", "02-30"]}}, "/calendar/dates/1"),
        ({"calendar": {"dates": ["31.12."]}}, "/calendar/dates/0"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_place(tree, path):
    with pytest.raises(InvalidCondition) as caught:
        parse(tree, FIELDS)

    assert caught.value.path == path
    assert caught.value.remedy


def test_a_condition_too_deep_or_too_large_is_refused():
    deep: dict[str, Any] = {"all": []}
    for _ in range(11):
        deep = {"not": deep}

    for tree in (deep, {"all": [{"all": []}] * 101}):
        with pytest.raises(InvalidCondition, match="at most"):
            parse(tree, FIELDS)


def _tests(asked: Field) -> st.SearchStrategy[dict[str, Any]]:
    texts = asked.options or TEXTS[1:]
    values: dict[str, st.SearchStrategy[Any]] = {
        "text": st.sampled_from(texts),
        "texts": st.lists(st.sampled_from(texts), min_size=1, max_size=3),
        "number": st.sampled_from(NUMBERS),
        "days": st.sampled_from((0, 1, 7, 30, 400)),
        "yes_no": st.booleans(),
        "date": st.sampled_from(DATES),
        "moment": st.sampled_from([moment.isoformat() for moment in MOMENTS]),
    }
    return st.sampled_from(sorted(OPERATORS[asked.type].items())).flatmap(
        lambda op: st.fixed_dictionaries(
            {"field": st.just(asked.name), "op": st.just(op[0]), "value": values[op[1]]}
        )
    )


def _conditions(fields: dict[str, Field]) -> st.SearchStrategy[dict[str, Any]]:
    compared = {"op": st.sampled_from(("is", "at_least", "at_most", "above", "below"))}
    days = st.sampled_from((None, 0, 1, 7, 30))
    events = st.fixed_dictionaries(
        {
            "kinds": st.lists(st.sampled_from(ENTRY_KINDS), min_size=1, max_size=3),
            "source": st.sampled_from((None, "till", "api")),
            "measure": st.sampled_from(("count", "points")),
            "value": st.sampled_from(NUMBERS),
            "within_days": days,
            **compared,
        }
    )
    expiring = st.fixed_dictionaries(
        {"within_days": st.sampled_from((0, 1, 30)), "value": st.sampled_from(NUMBERS), **compared}
    )
    passes = st.fixed_dictionaries(
        {"within_days": st.sampled_from((0, 1, 30)), "template": st.sampled_from((None, "coffee", "tea"))}
    )
    calendar = st.fixed_dictionaries(
        {
            "dates": st.lists(st.sampled_from(("06-03", "06-05", "02-29", "01-01")), min_size=1, max_size=2),
            "within_days": st.sampled_from((0, 1, 7, 365)),
        }
    )
    received = st.fixed_dictionaries({"id": st.sampled_from((None, "cmp_1", "cmp_2")), "within_days": days})
    leaves = st.one_of(
        st.sampled_from(sorted(fields)).flatmap(lambda name: _tests(fields[name])),
        events.map(lambda tree: {"events": tree}),
        expiring.map(lambda tree: {"expiring": tree}),
        passes.map(lambda tree: {"pass_expiring": tree}),
        calendar.map(lambda tree: {"calendar": tree}),
        received.map(lambda tree: {"campaign": tree}),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(inner, max_size=3).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=4,
    )


@dataclass(frozen=True)
class Town:
    """A programme's members as both compilers see them: in the database, and as facts."""

    fields: dict[str, Field]
    facts: dict[str, Facts]
    ask_database: Callable[[Condition], set[str]]


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with asyncio.Runner() as runner:
        engine = open_engine(database_url)
        sessions = open_sessions(engine)

        async def seed() -> tuple[str, dict[str, Field], dict[str, Facts]]:
            async with sessions.begin() as session:
                program = await make_program(session)
                await _people(session, program)
            async with sessions() as session:
                members = await session.scalars(select(Member).where(Member.program_id == program.id))
                facts = {member.id: await facts_of(session, member) for member in members}
                return program.id, await fields_of(session, program.id), facts

        program_id, fields, facts = runner.run(seed())

        async def ask(condition: Condition) -> set[str]:
            async with sessions() as session:
                audience = compile_condition(condition, program_id, ASKING, database=engine.dialect.name)
                return set(await session.scalars(members_where(program_id, audience)))

        yield Town(fields, facts, lambda condition: runner.run(ask(condition)))
        runner.run(engine.dispose())


@settings(
    max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
)
@given(data=st.data())
def test_sql_and_python_agree_on_every_member(town, data):
    tree = data.draw(_conditions(town.fields), label="condition")
    condition = parse(json.loads(json.dumps(tree)), town.fields)

    by_facts = {id_ for id_, facts in town.facts.items() if matches(condition, facts, ASKING)}

    assert town.ask_database(condition) == by_facts


async def _people(session: AsyncSession, program: Program) -> None:
    """Members with every kind of answer, history and wallet, and one of another programme."""
    options = [{"value": each, "label": {"en": each}} for each in ("espresso", "tea")]
    questions = [
        {"key": key, "kind": kind, "label": {"en": key}}
        | ({"options": options} if kind.startswith("choice") else {})
        for key, kind in QUESTIONS.items()
    ]
    definition = {
        "languages": ["en"],
        "title": {"en": "x"},
        "intro": {"en": "x"},
        "consents": [],
        "questions": questions,
    }
    form = Form(
        id=new_id("frm"), program_id=program.id, slug=program.slug, definition=definition, created_at=NOON
    )
    session.add(form)
    tiers = [await make_tier(session, program, code=code) for code in ("basic", "gold")]
    for number in range(40):
        await _person(session, program, form, tiers, number)
    await make_member(session)
    await _campaigns(session, program)


async def _person(
    session: AsyncSession, program: Program, form: Form, tiers: list[Tier], number: int
) -> None:
    def pick(values: Any, step: int = 1) -> Any:
        return values[(number * step) % len(values)]

    account = await make_account(
        session,
        program,
        balance=max(0, pick(NUMBERS, 3)),
        tier_points=pick(NUMBERS, 5),
        tier_id=None if number % 5 == 0 else pick(tiers).id,
    )
    birthday = None if number % 7 == 0 else date.fromisoformat(pick(DATES, 5))
    answers = {key: pick(ANSWERS, step + 1) for step, key in enumerate(QUESTIONS) if (number + step) % 6}
    member = await make_member(
        session,
        account,
        name=pick(TEXTS, 3) or "x",
        email=None if number % 3 else "anna@example.com",
        language=pick(("en", "ru")),
        state=pick(("active", "active", "blocked")),
        birthday=birthday,
        answers=answers,
        created_at=pick(MOMENTS, 3),
    )
    for sequence in range(number % 4):
        await _move(session, program, account.id, member, sequence, number)
    held = await make_pass(
        session,
        member,
        state=pick(("active", "active", "voided")),
        template=pick(("coffee", "coffee", "coffee", "tea")),
        expires_at=pick((None, NOON, NOON + timedelta(hours=20), NOON + timedelta(days=20)), 3),
    )
    for wallet in {"apns": (2,), "pass2u": (2, 5), "walletpasses": (3,)}.items():
        if number % 8 in wallet[1]:
            await _install(session, program, held.id, wallet[0], number)
    if number % 3 == 0:
        session.add(
            GoogleObject(
                pass_id=held.id,
                program_id=program.id,
                object_id=f"issuer.{held.id}",
                class_id="issuer.coffee",
                resource="loyaltyObject",
                sent={},
                inserted_at=NOON,
                has_users=number % 2 == 0,
            )
        )
    if number % 4 == 1:
        tag = pick(("", "tea", "Anna"), 3)
        session.add(
            Submission(
                id=new_id("sub"),
                program_id=program.id,
                form_id=form.id,
                member_id=member.id,
                outcome="enrolled",
                source_tag=tag,
                answers={},
                at=NOON,
            )
        )


async def _move(
    session: AsyncSession, program: Program, account_id: str, member: Member, sequence: int, number: int
) -> None:
    points = 5 if (number + sequence) % 3 else -2
    entry = Entry(
        id=new_id("ent"),
        program_id=program.id,
        account_id=account_id,
        sequence=sequence + 1,
        kind=ENTRY_KINDS[(number + sequence) % len(ENTRY_KINDS)],
        points=points,
        balance_after=0,
        source=("till", "api")[number % 2],
        source_event=f"{number}:{sequence}",
        at=MOMENTS[(number + 2 * sequence) % len(MOMENTS)],
    )
    session.add(entry)
    await session.flush()
    if points > 0:
        ends = (None, NOON, NOON + timedelta(hours=12), NOON + timedelta(days=20))[(number + sequence) % 4]
        session.add(
            Lot(
                entry_id=entry.id,
                program_id=program.id,
                account_id=account_id,
                sequence=sequence + 1,
                points=points,
                remaining=(0, 1, 5)[number % 3],
                expires_at=ends,
            )
        )


async def _install(
    session: AsyncSession, program: Program, pass_id: str, push_service: str, number: int
) -> None:
    session.add(
        Registration(
            device_library_identifier=f"{push_service}{number}",
            pass_id=pass_id,
            program_id=program.id,
            push_service=push_service,
            push_token="aa",
            registered_at=NOON,
            seen_at=NOON,
        )
    )


async def _campaigns(session: AsyncSession, program: Program) -> None:
    """Two campaigns that reached some of them."""
    members = list(await session.scalars(select(Member).where(Member.program_id == program.id)))
    for number, id_ in enumerate(("cmp_1", "cmp_2"), start=1):
        shared = {"program_id": program.id, "created_by": "test", "created_at": NOON}
        session.add(Campaign(id=id_, name=id_, state="done", definition={}, **shared))
        await session.flush()
        session.add(
            Plan(
                id=f"pln_{number}",
                campaign_id=id_,
                hash="",
                seed="",
                definition={},
                templates={},
                zones={},
                totals={},
                recipients=0,
                expires_at=NOON,
                **shared,
            )
        )
        await session.flush()
        for position, member in enumerate(members[:: number + 1], start=1):
            session.add(_recipient(program, id_, number, position, member))


def _recipient(program: Program, campaign_id: str, number: int, position: int, member: Member) -> Recipient:
    is_done = position % 3 > 0
    return Recipient(
        plan_id=f"pln_{number}",
        position=position,
        program_id=program.id,
        campaign_id=campaign_id,
        member_id=member.id,
        account_id=member.account_id,
        zone="Europe/Moscow",
        language="en",
        wallet="apple",
        route="wallet",
        variant="a",
        facts={},
        state="done" if is_done else "skipped",
        done_at=MOMENTS[position % len(MOMENTS)] if is_done else None,
    )


def test_anniversaries_count_from_today_and_leap_days_fall_on_the_28th():
    def on(day: str) -> Asking:
        return Asking(datetime.now(UTC), date.fromisoformat(day))

    assert on("2030-12-31").anniversaries(1) == {1231, 101}
    assert 229 in on("2030-02-28").anniversaries(0)
    assert 229 not in on("2032-02-28").anniversaries(0)
    assert 229 in on("2032-02-28").anniversaries(1)


def test_every_wallet_of_the_registry_is_one_a_phone_may_have():
    assert WALLETS == ("apple", "google", "walletpasses", "pass2u", "web")
