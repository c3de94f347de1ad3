"""What a filled form becomes: a member with a pass, an SMS, evidence of consent, a notice."""

import pytest
from sqlalchemy import func, select

from app.channels.sms import segments
from app.enrolment.forms import parse_definition, read
from app.enrolment.models import Form, Submission
from app.enrolment.submit import Origin, link_text, submit
from app.i18n import load_texts
from app.members.models import Account, Consent, Member, Message, Notice
from app.passes.issue import by_link, reissue, set_state
from app.passes.models import Pass
from app.points import ledger
from app.points.models import Entry
from app.wiring import TEXTS
from tests.enrolment.test_forms import DEFINITION, FILLED, TODAY
from tests.make import NOON, make_account, make_program

TEXT = load_texts(TEXTS)
LINK_URL = "https://cards.example.com"


async def make_form(session, program=None, **fields):
    program = program or await make_program(session)
    form = Form(
        id=f"frm_{program.slug}",
        program_id=program.id,
        slug=program.slug,
        definition=DEFINITION,
        **{"opening_points": 50, "is_open": True, "created_at": NOON} | fields,
    )
    session.add(form)
    await session.flush()
    return program, form


async def enrol(session, form, *, language="en", src="poster", **fields):
    program, row = form
    filled = read(
        parse_definition(row.definition),
        FILLED | {name: [value] for name, value in fields.items()},
        country="RU",
        language=language,
        today=TODAY,
    )
    origin = Origin(network="203.0.113.0/24", source_tag=src)
    return await submit(session, program, row, filled, origin, link_url=LINK_URL, texts=TEXT, now=NOON)


async def count(session, table):
    return await session.scalar(select(func.count()).select_from(table))


async def test_a_new_person_becomes_a_member_with_a_pass_and_the_gift(session):
    form = await make_form(session)

    enrolled = await enrol(session, form, birthday="2015-03-24", drink="tea")

    member = enrolled.member
    account = await session.get_one(Account, member.account_id, populate_existing=True)
    assert enrolled.is_new
    assert (member.name, member.phone, str(member.birthday)) == ("Anna", "+79123456789", "2015-03-24")
    assert member.answers == {"goal": "to win", "drink": "tea", "own_cup": False}
    assert (account.phone, account.balance) == ("+79123456789", 50)
    assert (enrolled.issued.member_id, enrolled.issued.template) == (member.id, "coffee")


async def test_the_sms_leads_to_the_pass(session):
    enrolled = await enrol(session, await make_form(session), language="ru")

    message = (await session.scalars(select(Message))).one()
    words, _, token = message.text.partition(f"{LINK_URL}/p/")
    issued, _ = await by_link(session, token, now=NOON)

    assert (message.channel, message.recipient, message.state) == ("sms", "+79123456789", "queued")
    assert words == "Ваша карта: "
    assert issued.id == enrolled.issued.id


@pytest.mark.parametrize("name", ["Анна Ёлкина", "АННА ЕЛКИНА", "  анна   ёлкина "])
async def test_the_same_name_on_the_same_phone_is_known_and_gets_the_link_again(session, name):
    form = await make_form(session)
    first = await enrol(session, form, name="Анна Ёлкина")

    again = await enrol(session, form, name=name)

    assert not again.is_new
    assert (again.member.id, again.issued.id) == (first.member.id, first.issued.id)
    assert [await count(session, each) for each in (Member, Pass, Entry, Notice, Message)] == [1, 1, 1, 1, 2]
    outcomes = await session.scalars(select(Submission.outcome).order_by(Submission.id))
    assert list(outcomes) == ["enrolled", "known"]


async def test_another_name_on_the_phone_shares_the_account_and_gets_no_second_gift(session):
    form = await make_form(session)
    mother = await enrol(session, form, name="Анна")

    child = await enrol(session, form, name="Миша")

    account = await session.get_one(Account, mother.member.account_id, populate_existing=True)
    assert child.is_new
    assert child.member.account_id == mother.member.account_id
    assert child.issued.id != mother.issued.id
    assert account.balance == 50
    assert await count(session, Entry) == 1


async def test_an_account_that_has_moved_points_already_gets_no_gift(session):
    form = await make_form(session)
    account = await make_account(session, form[0], phone="+79123456789")
    await ledger.earn(
        session,
        account.id,
        7,
        reason="till",
        source="till",
        source_event="1",
        program_id=form[0].id,
        now=NOON,
    )

    await enrol(session, form)

    await session.refresh(account)
    assert account.balance == 7


async def test_the_same_phone_in_another_programme_is_another_person(session):
    one, other = await make_form(session), await make_form(session)

    first, second = await enrol(session, one), await enrol(session, other)

    assert second.is_new
    assert first.member.account_id != second.member.account_id


async def test_a_form_without_a_gift_makes_no_entry(session):
    await enrol(session, await make_form(session, opening_points=0))

    assert await count(session, Entry) == 0


async def test_who_lost_the_pass_gets_the_one_that_replaced_it(session):
    form = await make_form(session)
    first = await enrol(session, form)
    program = form[0]
    newer = await reissue(session, program.id, first.issued.id, reason="lost phone", now=NOON)

    again = await enrol(session, form)

    assert again.issued.id == newer.id


async def test_who_has_only_a_voided_pass_gets_a_new_one(session):
    form = await make_form(session)
    first = await enrol(session, form)
    await set_state(session, form[0].id, first.issued.id, "voided", reason="leaked", now=NOON)

    again = await enrol(session, form)

    assert again.issued.id != first.issued.id
    assert again.issued.state == "active"


async def test_consents_are_kept_as_evidence_given_or_not(session):
    enrolled = await enrol(session, await make_form(session), language="ru")

    rows = (await session.scalars(select(Consent).order_by(Consent.kind.desc()))).all()
    assert {each.member_id for each in rows} == {enrolled.member.id}
    assert [(each.kind, each.version, each.text, each.language, each.given) for each in rows] == [
        ("personal_data", "v2", "I agree по-русски", "ru", True),
        ("marketing", "v1", "Tell me по-русски", "ru", False),
    ]
    assert {(each.ip_network, each.at) for each in rows} == {("203.0.113.0/24", NOON)}


async def test_the_submission_says_where_the_person_came_from(session):
    enrolled = await enrol(session, await make_form(session), src="poster")

    row = (await session.scalars(select(Submission))).one()
    assert (row.member_id, row.outcome, row.source_tag) == (enrolled.member.id, "enrolled", "poster")
    assert row.answers == {"goal": "to win", "own_cup": False}


async def test_the_manager_is_told_of_a_new_member_and_by_email_only_where_one_is_named(session):
    silent = await make_form(session)
    named = await make_form(session, await make_program(session, manager_email="boss@example.com"))

    await enrol(session, silent)
    assert await count(session, Notice) == 1
    enrolled = await enrol(session, named)

    notices = (await session.scalars(select(Notice).order_by(Notice.id))).all()
    email = (await session.scalars(select(Message).where(Message.channel == "email"))).one()
    assert [each.kind for each in notices] == ["member.enrolled"] * 2
    assert notices[1].details == {"name": "Anna", "card_number": enrolled.member.card_number}
    assert (email.recipient, email.subject) == ("boss@example.com", "Coffee House: a new member")
    assert enrolled.member.card_number in email.text


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
async def test_a_programme_in_a_language_without_texts_of_ours_speaks_english(session, language):
    program = await make_program(session, language=language, manager_email="boss@example.com")

    await enrol(session, await make_form(session, program))

    assert await count(session, Message) == 2


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("program", ["Кофе", "Школа «Ладья»", "Ж" * 128, "Coffee House", ""])
@pytest.mark.parametrize("host", ["https://ex.ru", "https://cards.example.com", "https://" + "x" * 60])
def test_the_sms_is_billed_as_one(language, program, host):
    link = f"{host}/p/{'A' * 22}"

    text = link_text(program, link, TEXT, language)

    assert segments.count(text).parts == 1
    assert text.endswith(link)


def test_the_sms_names_the_programme_where_there_is_room():
    assert link_text("Кофе", "https://ex.ru/p/AbC", TEXT, "ru") == "Кофе: ваша карта https://ex.ru/p/AbC"
