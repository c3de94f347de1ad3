import pytest
from sqlalchemy import select

from app import metrics
from app.errors import TemporaryFailure
from app.jobs.push_apple import push_apple
from app.passes import devices, trace, versions
from app.passes.models import Registration, Update
from tests.make import NOON, make_issued

TOKEN, OTHER = "a" * 64, "b" * 64


async def install(session, issued, push_token, device="phone", push_service="apns"):
    await devices.register(
        session,
        issued.serial_number,
        device_library_identifier=device,
        push_service=push_service,
        push_token=push_token,
        now=NOON,
    )


@pytest.fixture
async def changed(services):
    """A pass on a phone, changed to version 2."""
    async with services.sessions.begin() as session:
        issued = await make_issued(session)
        await install(session, issued, TOKEN)
        await versions.mark_changed(session, issued.program_id, [issued.id], because={}, now=NOON)
    return issued


async def kinds(services, issued):
    async with services.sessions() as session:
        return [each.kind for each in await trace.story(session, issued.id)]


async def owed(services):
    async with services.sessions() as session:
        update = (await session.scalars(select(Update))).one()
        return update.wanted_version - update.sent_version


async def test_the_phone_is_told_and_the_trace_says_with_which_apns_id(services, world, changed):
    await push_apple(services, {"pass_id": changed.id})

    assert [push.push_token for push in world.apns.accepted] == [TOKEN]
    async with services.sessions() as session:
        last = (await trace.story(session, changed.id))[-1]
    assert (last.kind, last.version) == ("push_accepted", 2)
    assert last.details["apns_id"] == world.apns.accepted[0].apns_id
    assert await owed(services) == 0


async def test_running_twice_tells_once(services, world, changed):
    for _ in range(2):
        await push_apple(services, {"pass_id": changed.id})

    assert len(world.apns.accepted) == 1


async def test_one_phone_under_two_device_ids_rings_once(services, world, changed):
    async with services.sessions.begin() as session:
        await install(session, changed, TOKEN, device="the same phone again")

    await push_apple(services, {"pass_id": changed.id})

    assert len(world.apns.accepted) == 1


async def test_a_phone_that_is_gone_is_forgotten(services, world, changed):
    world.apns.unregister(TOKEN)

    await push_apple(services, {"pass_id": changed.id})

    async with services.sessions() as session:
        assert (await session.scalars(select(Registration))).all() == []
    assert "device_gone" in await kinds(services, changed)
    assert await owed(services) == 0


async def test_after_a_failure_only_the_phone_that_was_not_told_is_told_again(services, world, changed):
    async with services.sessions.begin() as session:
        await install(session, changed, OTHER, device="tablet")
    world.apns.refuse(OTHER, "ServiceUnavailable", times=1)

    with pytest.raises(TemporaryFailure):
        await push_apple(services, {"pass_id": changed.id})
    assert await owed(services) == 1
    await push_apple(services, {"pass_id": changed.id})

    assert sorted(push.push_token for push in world.apns.accepted) == [TOKEN, OTHER]
    assert await owed(services) == 0


async def test_refused_credentials_stop_every_push_until_the_pause_is_over(clock, services, world, changed):
    world.apns.refuse(TOKEN, "BadCertificate", times=1)

    for _ in range(3):
        with pytest.raises(TemporaryFailure):
            await push_apple(services, {"pass_id": changed.id})

    assert services.push_stop.seconds_left("apns", NOON) == 300
    assert services.push_stop.reasons(NOON) == {"apns": "APNs answered 403 BadCertificate"}
    assert await owed(services) == 1
    clock.tick(301)
    assert services.push_stop.seconds_left("apns", clock()) == 0
    await push_apple(services, {"pass_id": changed.id})
    assert await owed(services) == 0


async def test_a_pass_on_no_phone_is_owed_nothing_more(services, world):
    async with services.sessions.begin() as session:
        issued = await make_issued(session)
        await versions.mark_changed(session, issued.program_id, [issued.id], because={}, now=NOON)

    await push_apple(services, {"pass_id": issued.id})

    assert await owed(services) == 0
    assert world.apns.accepted == []


async def test_a_device_whose_service_has_no_settings_is_noted_and_keeps_nobody_waiting(
    services, world, changed
):
    async with services.sessions.begin() as session:
        await install(session, changed, OTHER, device="android", push_service="pass2u")
    before = pushes("pass2u", "refused")

    await push_apple(services, {"pass_id": changed.id})

    assert [push.push_token for push in world.apns.accepted] == [TOKEN]
    assert await owed(services) == 0
    assert "push_refused" in await kinds(services, changed)
    assert pushes("pass2u", "refused") == before + 1


async def test_a_device_that_can_never_be_told_does_not_end_the_tries_for_another(services, world, changed):
    async with services.sessions.begin() as session:
        await install(session, changed, OTHER, device="android", push_service="pass2u")
    world.apns.refuse(TOKEN, "ServiceUnavailable", times=1)

    with pytest.raises(TemporaryFailure):
        await push_apple(services, {"pass_id": changed.id})
    assert await owed(services) == 1
    await push_apple(services, {"pass_id": changed.id})

    assert [push.push_token for push in world.apns.accepted] == [TOKEN]
    assert await owed(services) == 0


async def test_a_service_that_refuses_our_key_does_not_stop_the_others(services, world, changed):
    services.push_stop.stop("walletpasses", "wrong key", NOON)
    accepted = pushes("apns", "accepted")

    await push_apple(services, {"pass_id": changed.id})

    assert await owed(services) == 0
    assert pushes("apns", "accepted") == accepted + 1


@pytest.mark.parametrize("database", ["sqlite"])
async def test_the_job_returns_as_soon_as_the_first_of_its_phones_can_be_told(services, world, changed):
    async with services.sessions.begin() as session:
        await install(session, changed, OTHER, device="android", push_service="walletpasses")
    services.push_stop.stop("walletpasses", "wrong key", NOON)
    world.apns.refuse(TOKEN, "ServiceUnavailable", times=1)

    with pytest.raises(TemporaryFailure) as caught:
        await push_apple(services, {"pass_id": changed.id})

    assert caught.value.retry_after_seconds is None


def pushes(service, outcome):
    return metrics.PUSHES.labels(service, outcome)._value.get()
