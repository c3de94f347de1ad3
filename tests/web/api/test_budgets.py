from app.passes import budget
from app.passes.issue import issue
from app.passes.versions import APPLE, GOOGLE
from tests.make import NOON, make_account, make_member, make_program


async def test_the_budget_says_what_would_ring_and_when_again(client, sessions, program):
    async with sessions.begin() as session:
        member = await make_member(session, await make_account(session, program))
        held = await issue(session, member, template="coffee", wallets=(APPLE, GOOGLE), now=NOON)
        which = (session, program.id, held.id, GOOGLE, "field")
        for number in range(3):
            await budget.count(*which, key=f"v{number}", purpose="live", now=NOON)

    said = (await client.get(f"/passes/{held.id}/budget")).json()

    asked = {(each["wallet"], each["cause"]): each for each in said["allowances"]}
    assert set(asked) == {("apple", "field"), ("google", "field"), ("google", "message")}
    assert asked["google", "field"]["live"] == {
        "outcome": "silent",
        "why": "day_full",
        "until": "2030-06-04T12:00:00.000Z",
    }
    assert asked["google", "field"]["rang_at"] == ["2030-06-03T12:00:00.000Z"] * 3
    assert asked["google", "message"]["campaign"]["outcome"] == "rings"
    assert asked["apple", "field"]["live"]["outcome"] == "rings"
    assert said["held_in_google_wallet"] is False


async def test_the_budget_of_another_programmes_pass_is_not_to_be_had(client, sessions):
    async with sessions.begin() as session:
        member = await make_member(session, await make_account(session, await make_program(session)))
        held = await issue(session, member, template="coffee", now=NOON)

    assert (await client.get(f"/passes/{held.id}/budget")).status_code == 404
