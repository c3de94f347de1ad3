"""`passbell campaign`: a script drafts, a person approves by the hash."""

import json

import pytest

from app.passes.issue import issue
from tests.cli.test_commands import Run, account, parsed, program, run  # noqa: F401
from tests.make import NOON, make_member

DEFINITION = {"condition": {"all": []}, "texts": {"en": "Chess day"}, "points": 5}


@pytest.fixture
def draft(tmp_path):
    def write(**changes):
        path = tmp_path / "campaign.json"
        path.write_text(json.dumps({"name": "Chess day", "definition": DEFINITION | changes}))
        return str(path)

    return write


async def test_a_plan_is_printed_and_only_its_hash_approves_it(run: Run, sessions, account, draft):  # noqa: F811
    async with sessions.begin() as session:
        await issue(session, await make_member(session, account), template="coffee", now=NOON)
    planned = await parsed(run, "campaign", "plan", draft())
    words = await run("campaign", "plan", planned["campaign"])

    wrong = await run("campaign", "approve", planned["campaign"], planned["hash"])
    made = words.output.split()[-1]
    approved = await parsed(run, "campaign", "approve", planned["campaign"], made)

    assert (planned["recipients"], planned["points"]) == (2, 10)
    assert f"{planned['campaign']} would tell 2 of 2 members" in words.output
    assert (wrong.exit_code, approved["state"]) == (1, "approved")
    assert "not the hash of the newest plan" in wrong.output
    stopped = await parsed(run, "campaign", "stop", planned["campaign"], "--reason", "wrong day")
    assert (stopped["state"], stopped["reason"]) == ("stopped", "wrong day")
    report = await parsed(run, "campaign", "report", planned["campaign"])
    assert report["total"]["planned"] == 2
    listed = await parsed(run, "campaign", "list")
    assert [each["id"] for each in listed] == [planned["campaign"]]


async def test_a_large_plan_is_not_approved_by_whoever_made_it(run: Run, account, draft, monkeypatch):  # noqa: F811
    monkeypatch.setenv("PASSBELL_CAMPAIGN_SECOND_PERSON_ABOVE", "0")
    planned = await parsed(run, "campaign", "plan", draft(), "--by", "agent")

    alone = await run("campaign", "approve", planned["campaign"], planned["hash"], "--by", "agent")
    agreed = await run("campaign", "approve", planned["campaign"], planned["hash"], "--by", "anna")

    assert (alone.exit_code, agreed.exit_code) == (1, 0)
    assert "another API key approves" in alone.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"condition": {"field": "shoes", "op": "is", "value": 1}}, "there is no such field"),
        ({"texts": {"ru": "День шахмат"}}, "members read en"),
        ({"send_at": "2020-01-01T10:00"}, "has passed"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_what_must_not_be_sent_is_refused_with_the_reason(run: Run, account, draft, changes, said):  # noqa: F811
    refused = await run("campaign", "plan", draft(**changes))

    assert refused.exit_code == 1
    assert said in refused.output
    assert await parsed(run, "campaign", "list") == []


async def test_segments_are_counted_kept_and_read_from_a_list(run: Run, sessions, account, tmp_path):  # noqa: F811
    async with sessions.begin() as session:
        boris = await make_member(session, account, name="Boris")
    condition, members = tmp_path / "named.json", tmp_path / "list.csv"
    condition.write_text(json.dumps({"field": "name", "op": "is", "value": "Boris"}))
    members.write_text(f"card_number\n{boris.card_number}\nnobody\n")

    counted = await parsed(run, "segment", "count", str(condition))
    kept = await parsed(run, "segment", "create", "Borises", str(condition))
    read = await parsed(run, "segment", "import", "Listed", str(members))
    again = await run("segment", "create", "Borises", str(condition))

    assert (counted["count"], counted["sample"]) == (1, ["Boris"])
    assert (await parsed(run, "segment", "count", kept["id"]))["count"] == 1
    assert (read["members"], read["unknown_lines"]) == (1, [2])
    assert [each["name"] for each in await parsed(run, "segment", "list")] == ["Borises", "Listed"]
    assert again.exit_code == 1
    members.write_text("{")
    broken = await run("segment", "count", str(members))
    assert (broken.exit_code, "no JSON object" in broken.output) == (1, True)


async def test_a_rule_rests_until_it_is_activated(run: Run, account, tmp_path):  # noqa: F811
    path = tmp_path / "rule.json"
    rule = {
        "trigger": {"kind": "birthday"},
        "period_days": 300,
        "campaign": {"texts": {"en": "Happy birthday"}},
    }
    path.write_text(json.dumps(rule))

    made = await parsed(run, "rule", "create", "Birthdays", str(path))
    active = await parsed(run, "rule", "activate", made["id"], "--by", "anna")
    rests = await parsed(run, "rule", "deactivate", made["id"])

    assert [each["is_active"] for each in (made, active, rests)] == [False, True, False]
    assert active["activated_by"] == "anna"
    assert [each["id"] for each in await parsed(run, "rule", "list")] == [made["id"]]
    path.write_text(json.dumps(rule | {"trigger": {"kind": "full_moon"}}))
    refused = await run("rule", "create", "Moons", str(path))
    assert (refused.exit_code, "/trigger" in refused.output) == (1, True)
