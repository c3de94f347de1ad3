"""A campaign's e-mail: readable both ways, with a way to say no that holds from the next letter on."""

import re
from email import message_from_bytes
from email.policy import default

from sqlalchemy import select

from app.campaigns import approval, drafts, plan, run
from app.campaigns.models import Campaign, Suppression
from app.jobs.send_messages import send_message
from app.members.models import Message
from app.wallets.templates.fingerprint import fingerprints
from tests.campaigns.conftest import say
from tests.flows.test_manager_email import app_settings, mail  # noqa: F401
from tests.make import NOON, make_account, make_member, make_program


async def sent(services, program, text):
    """Carry out an e-mail campaign to everybody; how many letters it wrote."""
    definition = {
        "condition": {"all": []},
        "channel": "email",
        "texts": {"en": text},
        "subjects": {"en": "News"},
    }
    prints = fingerprints(services.templates)
    async with services.sessions.begin() as session:
        campaign = await drafts.create(
            session, program.id, name="News", definition=definition, by="anna", now=NOON
        )
        made = await plan.make(session, campaign, prints, by="anna", now=NOON)
        await approval.approve(
            session, campaign, prints, plan_hash=made.hash, by="boris", second_person_above=9, now=NOON
        )
        step = campaign.step
    async with services.sessions.begin() as session:
        await run.go_on(session, campaign.id, step, prints, now=NOON)
        queued = list(await session.scalars(select(Message.id).where(Message.state == "queued")))
    for message_id in queued:
        await send_message(services, {"message_id": message_id})
    return len(queued)


async def test_a_reader_says_no_by_the_link_and_gets_no_more_letters(client, services, mail):  # noqa: F811
    async with services.sessions.begin() as session:
        program = await make_program(session, name="Coffee & Co")
        account = await make_account(session, program)
        for name in ("anna", "boris"):
            member = await make_member(session, account, email=f"{name}@example.com", name=name)
            await say(session, member, given=True)

    assert await sent(services, program, "Hello {{ member_name }} <3") == 2
    letters = [message_from_bytes(each, policy=default) for each in mail.letters]
    anna = next(each for each in letters if each["To"] == "anna@example.com")
    html = anna.get_body(("html",)).get_content()
    plain = anna.get_body(("plain",)).get_content()
    link = re.search(r"http://\S+/u/\S+", plain)[0]

    assert plain.startswith("Hello anna <3")
    assert "Hello anna &lt;3" in html
    assert "Coffee &amp; Co" in html
    assert anna["List-Unsubscribe"] == f"<{link}>"
    assert anna["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = "/u/" + link.rpartition("/u/")[2]
    assert (await client.get(path)).status_code == 200
    async with services.sessions() as session:
        assert (await session.scalars(select(Suppression))).all() == []  # looking is not saying no
    for _ in range(2):
        assert (await client.post(path)).status_code == 200
    assert await sent(services, program, "More") == 1
    assert (await client.post(path[:-1] + "x")).status_code == 404
    async with services.sessions() as session:
        assert len((await session.scalars(select(Campaign))).all()) == 2
