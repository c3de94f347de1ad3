"""What happens is told to whoever listens, and to nobody else."""

from sqlalchemy import event, func, select

from app.job_queue import kinds
from app.members import messages, people
from app.passes import devices, holders, issue, trace, versions
from app.passes.evidence import Evidence
from app.points import ledger
from app.webhooks.models import WebhookDelivery, WebhookEvent
from tests.make import NOON, make_account, make_issued, make_member, make_program, make_tier


async def told(services):
    async with services.sessions() as session:
        return (await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id))).all()


async def earn(session, account, event="1", points=100):
    return await ledger.earn(
        session,
        account.id,
        points,
        reason="",
        source="api",
        source_event=event,
        program_id=account.program_id,
        now=NOON,
    )


async def test_the_life_of_a_member_is_told_in_order(services, listening):
    async with services.sessions.begin() as session:
        await make_tier(session, listening.program, threshold=0, code="basic")
        gold = await make_tier(session, listening.program, threshold=100, code="gold")
        account, _ = await people.find_or_create_account(session, listening.program, "+79161234567", NOON)
        member = await people.add_member(
            session,
            listening.program,
            account,
            name="Anna",
            phone="+79161234567",
            email=None,
            birthday=None,
            language="en",
            answers={},
            now=NOON,
        )
        held = await issue.issue(session, member, template="coffee", now=NOON)
        await devices.register(
            session,
            held.serial_number,
            device_library_identifier="device",
            push_service="apns",
            push_token="ab" * 32,
            now=NOON,
        )
        earned = await earn(session, account)
        await ledger.reverse(session, earned.entry.id, reason="", source="api", source_event="2", now=NOON)
        await holders.set_member_state(session, listening.program.id, member.id, "blocked", now=NOON)
        await issue.set_state(session, listening.program.id, held.id, "voided", reason="", now=NOON)

    every = await told(services)
    events = [each for each in every if each.type != "pass.updated"]
    assert [each.type for each in events] == [
        "member.enrolled",
        "pass.issued",
        "pass.installed",
        "transaction.posted",
        "tier.changed",
        "transaction.reversed",
        "tier.changed",
        "member.blocked",
        "pass.voided",
    ]
    assert events[3].data["balance"] == 100
    assert events[4].data["tier_id"] == gold.id
    updated = [each.data for each in every if each.type == "pass.updated"]
    assert {each["pass_id"] for each in updated} == {held.id}
    assert [each["version"] for each in updated] == list(range(2, held.version + 1))


async def test_what_became_of_a_push_and_that_a_phone_fetched_is_told(services, listening):
    async with services.sessions.begin() as session:
        held = await make_issued(session, await make_account(session, listening.program))
        accepted = {"apns_id": "A-1"}
        await trace.record(
            session, held.program_id, [held.id], trace.PUSH_ACCEPTED, version=2, details=accepted, now=NOON
        )
    evidence = Evidence(services.sessions)
    evidence.note(held.program_id, held.id, trace.ASKED, now=NOON)
    evidence.note(held.program_id, held.id, trace.FETCHED, version=2, now=NOON)
    await evidence.flush()

    _issued, *events = await told(services)
    assert [(each.type, each.data["version"]) for each in events] == [
        ("pass.push_accepted", 2),
        ("pass.fetched", 2),
    ]
    assert (events[0].data["pass_id"], events[0].data["apns_id"]) == (held.id, "A-1")


async def test_many_passes_of_one_change_are_told_each_by_its_own_event(services, listening):
    async with services.sessions.begin() as session:
        held = [await make_issued(session, await make_account(session, listening.program)) for _ in range(3)]
        ids = [each.id for each in held]
        await versions.mark_changed(
            session, listening.program.id, ids, because={"message": "x"}, priority=kinds.BULK, now=NOON
        )

    events = [each for each in await told(services) if each.type == "pass.updated"]
    assert {each.data["pass_id"] for each in events} == set(ids)
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(WebhookDelivery)) == 6  # and as issued


async def test_a_movement_that_is_undone_or_repeated_is_not_told(services, listening):
    async with services.sessions.begin() as session:
        account = await make_account(session, listening.program)
        await earn(session, account)
        await earn(session, account)
    async with services.sessions() as session:
        await earn(session, account, event="rolled back")
        await session.rollback()

    assert [each.data["source_event"] for each in await told(services)] == ["1"]


async def test_what_became_of_a_message_is_told(services, listening):
    async with services.sessions.begin() as session:
        message = await messages.queue_message(
            session,
            program_id=listening.program.id,
            member_id=None,
            channel="sms",
            purpose="pass_link",
            recipient="+79161234567",
            text="Your card",
            now=NOON,
        )
        message.state, message.provider, message.provider_id = "sent", "generic", "1"
        await session.flush()
        await messages.note_receipts(session, "generic", [("1", "delivered", None)], now=NOON)

    (event,) = await told(services)
    assert (event.type, event.data["message_id"]) == ("message.delivered", message.id)


async def test_only_the_types_that_were_asked_for_and_the_own_programme_are_told(services, listen):
    listening = await listen(event_types=("member.blocked",))
    async with services.sessions.begin() as session:
        mine = await make_account(session, listening.program)
        await earn(session, mine)
        other = await make_account(session, await make_program(session))
        await earn(session, other)
        member = await make_member(session, other)
        await holders.set_member_state(session, other.program_id, member.id, "blocked", now=NOON)

    assert await told(services) == []


async def test_a_movement_that_nobody_hears_of_costs_no_statement(services):
    """Neither an event nor a question who listens: that is asked once in two seconds."""
    async with services.sessions.begin() as session:
        account = await make_account(session)
        await earn(session, account, event="asks who listens")
    statements: list[str] = []

    def note(connection, cursor, statement, parameters, context, many):
        statements.append(statement)

    event.listen(services.engine.sync_engine, "before_cursor_execute", note)
    async with services.sessions.begin() as session:
        await earn(session, account)

    assert [each for each in statements if "webhook" in each] == []
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(WebhookEvent)) == 0
