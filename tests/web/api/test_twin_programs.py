"""Two programmes on one installation: a key of one reaches nothing of the other, on any route there is.

The routes come from the OpenAPI document, so a new one is covered, or fails here for want of a sample.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import drafts, plan, rules, segments
from app.campaigns.models import Campaign, Plan, Recipient, Segment, SegmentMember
from app.crm.known import CRMS
from app.db import Base, Sessions, new_id
from app.deals import reconciliation
from app.deals.models import Reconciliation
from app.inbox import handle, receive, sources
from app.inbox.models import InboundEvent, Source
from app.inbox.reasons import Reason
from app.members import api_keys, messages, people
from app.members.api_keys import SCOPES
from app.members.models import Account, ExternalId, Member, Message, Program, Tier
from app.passes import class_messages, devices, issue
from app.passes.class_messages import Wording
from app.passes.models import (
    ClassMessage,
    DeviceLog,
    GoogleClass,
    Pass,
    PassLink,
    Registration,
    TraceEvent,
    Update,
)
from app.points import ledger
from app.points.models import Entry, Lot
from app.web.api.openapi import document
from app.webhooks import endpoints
from app.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.make import NOON, make_account, make_member, make_program, make_tier

SHARED = ("/api/v1/templates", "/api/v1/templates/{name}")  # folders on the server, of all programmes
OWN = (Program, Tier, Account, Member, ExternalId, Message, Entry, Lot, Pass, PassLink, Registration)
TABLES: tuple[type[Any], ...] = (
    *OWN,
    Update,
    TraceEvent,
    Segment,
    SegmentMember,
    WebhookEndpoint,
    WebhookDelivery,
    Campaign,
    Plan,
    Recipient,
    Source,
    InboundEvent,
    Reconciliation,
    ClassMessage,
)

ASKED_BY_POST = ("check_card",)  # changes nothing: whom it asks about is too personal for an address

MAPPING = {"rules": [{"event": "contact", "phone": "{tel}"}]}
RULE = {
    "trigger": {"kind": "birthday"},
    "period_days": 300,
    "campaign": {"texts": {"en": "Happy birthday"}},
}

# What a request that would succeed at home carries; {names} stand for the ids of a programme.
BODIES: dict[str, list[dict[str, Any]]] = {
    "create_member": [{"name": "Boris"}],
    "update_member": [{"name": "Boris", "external_ids": [{"source": "crm", "id": "new"}]}],
    "put_tier": [{"code": "basic"}, {"automatic": True}],
    "post_transaction": [
        {"kind": "earn", "points": 5},
        {"kind": "earn", "amount": "500.00"},
        {"kind": "redeem", "points": 5, "member_id": "{member_id}"},
        {"kind": "adjust", "points": 5},
        {"kind": "reverse", "reverses": "{entry_id}"},
    ],
    "issue_pass": [{"member_id": "{member_id}"}],
    "update_program": [{"name": "Tea House"}],
    "make_link": [{"send": True}],
    "create_segment": [{"name": "All", "condition": {"all": []}}],
    "create_list": [{"name": "Guests", "csv": "{member_id}"}],
    "count_condition": [{"condition": {"all": []}}],
    "update_segment": [{"name": "Everybody"}],
    "freeze_segment": [{"name": "Those of today"}],
    "create_campaign": [{"name": "News", "definition": {"condition": {"all": []}, "texts": {"en": "News"}}}],
    "update_campaign": [{"name": "More news"}],
    "approve_campaign": [{"plan_hash": "{plan_hash}"}],
    "create_rule": [{"name": "Birthdays", "definition": RULE}],
    "choose_winner": [{"variant": "a"}],
    "share_account": [{"account_id": "{account_id}"}],
    "resend_message": [{"may_arrive_twice": True}],
    "add_source": [{"kind": "generic", "slug": "new", "settings": MAPPING}],
    "change_source": [{"name": "Till"}],
    "issue_card": [{"person": {"contact": "contact:1", "phone": "{phone}", "name": "Anna"}}],
    "adjust_points": [{"person": {"phone": "{phone}"}, "points": 5, "reference": "visit:1"}],
    "put_deal": [{"person": {"phone": "{phone}"}, "amount": "500.00", "outcome": "won"}],
    "check_card": [{"person": {"phone": "{phone}"}, "amount": "500.00"}],
    "scan_card": [{"value": "{card_number}"}],
    "create_class_message": [{"texts": {"ru": "Какао бесплатно", "en": "Free cocoa"}}],
    "add_endpoint": [{"url": "https://example.com/in"}],
    "change_endpoint": [{"description": "CRM"}],
    "acknowledge_events": [{"event_ids": ["evt_1"]}],
}


@dataclass(frozen=True)
class Operation:
    """One method of one route of the document."""

    name: str
    method: str
    path: str
    scope: str
    queries: tuple[str, ...]
    needs_body: bool

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return BODIES[self.name] if self.needs_body or self.name in BODIES else [{}]

    @property
    def names_something(self) -> bool:
        return "{" in self.path


def _operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            yield Operation(
                name=described["operationId"],
                method=method.upper(),
                path=path,
                scope=described["security"][0]["ApiKey"][0],
                queries=tuple(
                    each["name"] for each in described.get("parameters", []) if each["in"] == "query"
                ),
                needs_body=described.get("requestBody", {}).get("required", False),
            )


OPERATIONS = list(_operations())
OF_ONE = [each for each in OPERATIONS if each.path not in SHARED]


@dataclass(frozen=True)
class Twin:
    """A programme with one of everything, and a key that may do all in it."""

    program_id: str
    key: str
    names: Mapping[str, str]  # what a request may name: ids by parameter, and what a list is asked by

    @property
    def marks(self) -> set[str]:
        """What no answer to anybody else may contain."""
        return {self.program_id, *self.names.values()}


@pytest.fixture
async def twins(sessions: Sessions) -> tuple[Twin, Twin]:
    """The caller's programme, and the one that must not notice anything."""
    return await _twin(sessions, "+79160000001"), await _twin(sessions, "+79160000002")


async def _twin(sessions: Sessions, phone: str) -> Twin:
    async with sessions.begin() as session:
        program = await make_program(session)
        await make_tier(session, program, code="basic", threshold=0)
        account = await make_account(session, program, phone=phone)
        member = await make_member(session, account, name=f"Anna of {program.slug}")
        await people.add_external_ids(session, member, [("crm", program.slug)])
        posted = await ledger.open_balance(
            session, account.id, 100, reason="", source="test", source_event="opening", now=NOON
        )
        held = await issue.issue(session, member, template="coffee", now=NOON)
        await issue.make_link(session, held, now=NOON)
        message = await _failed_message(session, member)
        await devices.register(
            session,
            held.serial_number,
            device_library_identifier=new_id("dev"),
            push_service="apns",
            push_token="ab" * 32,
            now=NOON,
        )
        segment = await segments.create(
            session, program.id, name=f"Of {program.slug}", condition={"all": []}, now=NOON
        )
        source, _ = await sources.add(
            session,
            b"k" * 32,
            program.id,
            CRMS["generic"],
            kind="generic",
            slug=f"shop{program.slug}",
            settings=MAPPING,
            now=NOON,
        )
        portal, _ = await sources.add(
            session,
            b"k" * 32,
            program.id,
            CRMS["bitrix24"],
            kind="bitrix24",
            slug=f"portal{program.slug}",
            settings={"portal_url": "https://example.bitrix24.ru"},
            now=NOON,
        )
        report = await reconciliation.keep(session, portal, matched=1, lines=[], now=NOON)
        delivered = await _rested_delivery(session, source)
        rule = await rules.create(
            session, program.id, name=f"Rule of {program.slug}", definition=RULE, now=NOON
        )
        campaign_ids, plan_hash = await _campaigns(session, program)
        endpoint, _ = await endpoints.add(
            session,
            b"k" * 32,
            program.id,
            url="https://example.com/",
            event_types=["*"],
            description=program.slug,
            may_be_plain=False,
            now=NOON,
        )
        told = await endpoints.try_out(session, endpoint, now=NOON)
        session.add(
            GoogleClass(
                class_id=f"1.{program.slug}", program_id=program.id, resource="loyaltyClass", body_hash="x"
            )
        )
        [told_all] = await class_messages.create(
            session, program, Wording({program.language: "News"}), template=None, by="test", now=NOON
        )
        session.add(DeviceLog(id=new_id("log"), line=f"no answer for {held.serial_number}", at=NOON))
        _, key = await api_keys.create_key(session, program.id, name="till", scopes=["*"], now=NOON)
    names = {
        "member_id": member.id,
        "account_id": account.id,
        "pass_id": held.id,
        "message_id": message.id,
        "segment_id": segment.id,
        "plan_hash": plan_hash,
        "rule_id": rule.id,
        **campaign_ids,
        "entry_id": posted.entry.id,
        "phone": phone,
        "card_number": member.card_number,
        "external_id": f"crm:{program.slug}",
        "serial_number": held.serial_number,
        "source_id": source.id,
        "portal_id": portal.id,
        "report_id": report.id,
        "event_id": delivered,
        "endpoint_id": endpoint.id,
        "delivery_id": told.id,
        "class_message_id": told_all.id,
    }
    return Twin(program.id, key, names)


async def _campaigns(session: AsyncSession, program: Program) -> tuple[dict[str, str], str]:
    """A planned campaign, and one in the state that each operation needs that this will not do for."""
    states = {
        "": "planned",
        "pause_campaign": "running",
        "resume_campaign": "paused",
        "choose_winner": "done",
    }
    ids: dict[str, str] = {}
    for operation, state in states.items():
        definition = {
            "condition": {"all": []},
            "variants": [{"name": "a", "percent": 100, "texts": {"en": f"News of {program.slug}"}}],
        }
        campaign = await drafts.create(
            session, program.id, name=f"{program.slug}{operation}", definition=definition, by="test", now=NOON
        )
        made = await plan.make(session, campaign, {"coffee": "as it was"}, by="test", now=NOON)
        campaign.state = state
        ids[f"{operation}_campaign_id" if operation else "campaign_id"] = campaign.id
        if not operation:
            made.templates = {}
            made.hash = plan.hash_of(made)
            first = made.hash
    return ids, first


async def _failed_message(session: AsyncSession, member: Member) -> Message:
    message = await messages.queue_message(
        session,
        program_id=member.program_id,
        member_id=member.id,
        channel="sms",
        purpose="pass_link",
        recipient=member.phone or "",
        text="Your card",
        now=NOON,
    )
    message.state = "failed"
    return message


async def _rested_delivery(session: AsyncSession, source: Source) -> str:
    event_id = await receive.keep(
        session,
        receive.Arrived(
            program_id=source.program_id,
            source_id=source.id,
            event_id="evt_1",
            url="http://test/hooks",
            headers={},
            body=b"{}",
            at=NOON,
        ),
    )
    assert event_id
    await handle.put_to_rest(session, event_id, Reason("no_phone", {"who": source.slug}), now=NOON)
    return event_id


async def _ask(
    anyone: httpx2.AsyncClient,
    operation: Operation,
    key: str,
    names: Mapping[str, str],
    body: dict[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> httpx2.Response:
    sent = None
    if operation.method != "GET" and body:
        sent = json.loads(_named(json.dumps(body), names))
    return await anyone.request(
        operation.method,
        operation.path.removeprefix("/api/v1").format_map(_places(operation, names)),
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": new_id("key")},
        json=sent,
        params=dict(query or {}),
    )


def _places(operation: Operation, names: Mapping[str, str]) -> dict[str, str]:
    """What stands in the path: of campaigns the one at the stage that is needed, of sources the kind."""
    campaign_id = names.get(f"{operation.name}_campaign_id", names["campaign_id"])
    asks_portal = operation.name.endswith(("_reconciliation", "_reconciliation_csv"))
    source_id = names["portal_id" if asks_portal else "source_id"]
    return {**names, "name": "coffee", "deal": "7405", "campaign_id": campaign_id, "source_id": source_id}


def _named(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    return text


async def _rows(sessions: Sessions, program_id: str) -> dict[str, list[str]]:
    """Everything of a programme, as the database holds it."""
    rows: dict[str, list[str]] = {}
    async with sessions() as session:
        for table in TABLES:
            own = table.id if table is Program else table.program_id
            found = await session.scalars(select(table).where(own == program_id))
            rows[table.__tablename__] = sorted(_text(each) for each in found)
    return rows


def _text(row: Base) -> str:
    return json.dumps({each.key: str(getattr(row, each.key)) for each in row.__table__.columns})


async def test_a_key_reaches_nothing_of_another_programme(
    anyone: httpx2.AsyncClient, sessions: Sessions, twins: tuple[Twin, Twin]
) -> None:
    mine, other = twins
    before = await _rows(sessions, other.program_id)
    for operation in OF_ONE:
        await _assert_out_of_reach(anyone, operation, mine, other)
        assert await _rows(sessions, other.program_id) == before, operation.name


async def _assert_out_of_reach(
    anyone: httpx2.AsyncClient, operation: Operation, mine: Twin, other: Twin
) -> None:
    asked = [(other.names, body, None) for body in operation.bodies]
    asked += [({**mine.names}, {}, {query: other.names[query]}) for query in _naming(operation, other)]
    by_external_id = {**other.names, "member_id": f"ext:{other.names['external_id']}"}
    if "{member_id}" in operation.path:
        asked += [(by_external_id, body, None) for body in operation.bodies]

    answers = [await _ask(anyone, operation, mine.key, *each) for each in asked]

    if operation.names_something:
        foreign = [
            answer for answer, (names, _, _) in zip(answers, asked, strict=True) if names != mine.names
        ]
        assert {(answer.status_code, answer.json()["status"]) for answer in foreign} == {(404, 404)}, (
            operation.name
        )
    for answer in answers:
        assert answer.status_code < 500, operation.name
        told = answer.text if answer.status_code < 400 else ""  # a refusal repeats what it was asked for
        assert [mark for mark in other.marks if mark in told] == [], operation.name


def _naming(operation: Operation, other: Twin) -> list[str]:
    return [query for query in operation.queries if query in other.names]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("post_transaction", {"kind": "reverse", "reverses": "{entry_id}"}),
        ("post_transaction", {"kind": "redeem", "points": 1, "member_id": "{member_id}"}),
        ("issue_pass", {"member_id": "{member_id}"}),
    ],
)
async def test_what_a_body_names_must_be_of_the_same_programme(
    anyone: httpx2.AsyncClient,
    sessions: Sessions,
    twins: tuple[Twin, Twin],
    name: str,
    body: dict[str, Any],
) -> None:
    mine, other = twins
    operation = next(each for each in OPERATIONS if each.name == name)
    before = [await _rows(sessions, twin.program_id) for twin in twins]
    foreign = json.loads(_named(json.dumps(body), other.names))

    refused = await _ask(anyone, operation, mine.key, mine.names, foreign)
    unharmed = [await _rows(sessions, twin.program_id) for twin in twins]
    taken = await _ask(anyone, operation, mine.key, mine.names, body)

    assert (refused.status_code, taken.status_code) == (404, 201)
    assert unharmed == before


async def test_the_same_names_in_two_programmes_are_two_things(
    anyone: httpx2.AsyncClient, sessions: Sessions, twins: tuple[Twin, Twin]
) -> None:
    mine, other = twins
    before = await _rows(sessions, other.program_id)
    person = {
        "name": "Anna",
        "phone": other.names["phone"],
        "card_number": other.names["card_number"],
        "external_ids": [{"source": "crm", "id": other.names["external_id"].removeprefix("crm:")}],
    }
    earn = {"kind": "earn", "points": 5, "source": "test", "source_event": "order:1"}

    added = [await _post(anyone, twin, "/members", person, "same-key") for twin in (mine, other)]
    earned = [
        await _post(anyone, twin, f"/accounts/{twin.names['account_id']}/transactions", earn, "same-key-2")
        for twin in (mine, other)
    ]

    assert [answer.status_code for answer in added] == [201, 409]
    assert added[0].json()["account_id"] != other.names["account_id"]
    assert [(answer.status_code, answer.json()["balance"]) for answer in earned] == [(201, 105), (201, 105)]
    assert (await _rows(sessions, other.program_id))["members"] == before["members"]


async def _post(
    anyone: httpx2.AsyncClient, twin: Twin, path: str, body: dict[str, Any], key: str
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {twin.key}", "Idempotency-Key": key}
    return await anyone.post(path, json=body, headers=headers)


@pytest.mark.parametrize("database", ["sqlite"])  # what a key may do is decided before the rows are asked
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_every_operation_needs_its_own_scope(
    anyone: httpx2.AsyncClient, sessions: Sessions, operation: Operation
) -> None:
    mine = await _twin(sessions, "+79160000001")
    includes = {operation.scope, operation.scope.replace(":read", ":write")}
    async with sessions.begin() as session:
        keys = [
            (await api_keys.create_key(session, mine.program_id, name="", scopes=scopes, now=NOON))[1]
            for scopes in ([each for each in SCOPES if each not in includes], [operation.scope])
        ]

    statuses = [
        (await _ask(anyone, operation, key, mine.names, operation.bodies[0])).status_code
        for key in ("none", *keys)
    ]

    only_reads = operation.method == "GET" or operation.name in ASKED_BY_POST
    assert only_reads or operation.scope.endswith(":write")
    assert statuses[:2] == [401, 403]
    assert 200 <= statuses[2] < 300
