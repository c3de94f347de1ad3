"""`passbell source`, `inbox` and `webhook`: connecting others, and what became of what they sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.db import Sessions
from app.inbox import handle, receive
from app.inbox.reasons import Reason
from app.members.models import Program
from app.webhooks import endpoints
from app.webhooks.models import WebhookEndpoint
from tests.cli.test_commands import Run, parsed, program, run  # noqa: F401  fixtures
from tests.make import NOON

pytestmark = pytest.mark.parametrize("database", ["sqlite"])
MAPPING = {"rules": [{"event": "contact", "phone": "{tel}"}]}


@pytest.fixture
async def till(run: Run, program: Program, tmp_path: Path) -> dict[str, Any]:  # noqa: F811
    settings = tmp_path / "till.json"
    settings.write_text(json.dumps(MAPPING))
    return await parsed(run, "source", "add", "generic", "till", "--settings", str(settings))


async def test_a_source_is_added_listed_and_given_a_new_secret(run: Run, till: dict[str, Any]) -> None:  # noqa: F811
    (listed,) = await parsed(run, "source", "list")
    rotated = await parsed(run, "source", "rotate", "till")

    assert till["address"] == "http://127.0.0.1:8000/hooks/till"
    assert till["secret"].startswith("whsec_")
    assert (listed["slug"], listed["state"]) == ("till", "active")
    assert "secret" not in listed
    assert rotated["secret"] not in (till["secret"], "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("source", "add", "nothing", "x"), "no kind of source nothing"),
        (("source", "add", "generic", "x"), "rules"),
        (("source", "add", "shopify", "sms"), "slug"),
        (("source", "add", "kommo", "x"), "api_url"),
        (("source", "rotate", "nobody"), "no source nobody"),
        (("inbox", "show", "inb_nothing"), "no delivery inb_nothing"),
        (("webhook", "add", "http://example.com/"), "https"),
        (("webhook", "add", "https://example.com/", "--event", "x.y"), "unknown event types"),
        (("webhook", "rotate", "whe_nothing"), "no endpoint"),
        (("webhook", "resend", "whd_nothing"), "no delivery"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_sentence(
    run: Run,  # noqa: F811
    program: Program,  # noqa: F811
    arguments: tuple[str, ...],
    said: str,
) -> None:
    result = await run(*arguments)

    assert result.exit_code == 1
    assert said in result.output


async def test_what_rests_is_listed_in_words_shown_and_replayed(
    run: Run,  # noqa: F811
    till: dict[str, Any],
    program: Program,  # noqa: F811
    sessions: Sessions,
) -> None:
    async with sessions.begin() as session:
        event_id = await receive.keep(
            session,
            receive.Arrived(
                program_id=program.id,
                source_id=till["id"],
                event_id="evt_1",
                url="http://test/hooks/till",
                headers={},
                body=b'{"tel": "12"}',
                at=NOON,
            ),
        )
        assert event_id
        await handle.put_to_rest(session, event_id, Reason("bad_phone", {"phone": "12"}), now=NOON)

    (listed,) = await parsed(run, "inbox", "list", "--state", "rested")
    shown = await parsed(run, "inbox", "show", event_id)
    replayed = [
        await parsed(run, "inbox", "replay", "--reason", reason) for reason in ("no_phone", "bad_phone")
    ]
    again = await run("inbox", "replay", event_id)

    assert "“12” is no phone number" in listed["text"]
    assert shown["body"] == '{"tel": "12"}'
    assert replayed == [{"replayed": 0}, {"replayed": 1}]
    assert "only one that rests" in again.output


async def test_an_endpoint_is_added_listed_rotated_and_enabled(
    run: Run,  # noqa: F811
    program: Program,  # noqa: F811
    sessions: Sessions,
) -> None:
    added = await parsed(run, "webhook", "add", "https://example.com/in", "--event", "tier.changed")
    async with sessions.begin() as session:
        mine = await session.get_one(WebhookEndpoint, added["id"])
        mine.state, mine.disabled_because = "disabled", "it answered 410 Gone"
        told = await endpoints.try_out(session, mine, now=NOON)

    (listed,) = await parsed(run, "webhook", "list")
    rotated = await parsed(run, "webhook", "rotate", added["id"])
    enabled = await parsed(run, "webhook", "enable", added["id"])
    resent = await parsed(run, "webhook", "resend", told.id)

    assert (listed["state"], listed["disabled_because"]) == ("disabled", "it answered 410 Gone")
    assert rotated["secret"] != added["secret"]
    assert (enabled["state"], enabled["disabled_because"]) == ("active", None)
    assert resent == {"delivery": told.id}
