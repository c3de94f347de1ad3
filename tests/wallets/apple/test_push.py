"""What APNs answers, and what comes out of a push."""

import pytest

from app.errors import TemporaryFailure
from app.wallets.apple.push import (
    PassPushers,
    PushOutcome,
    PushRejected,
    PushResult,
    PushTarget,
    ServiceMissing,
)
from app.wallets.apple.pusher import read_apns_answer
from tests.apns import push_token

GONE = PushOutcome.DEVICE_GONE


async def test_an_accepted_push_has_the_id_under_which_apns_took_it(apns):
    async with apns() as world:
        result = await world.push.notify_changed(push_token(1))

    assert result == PushResult(PushOutcome.ACCEPTED, world.simulator.accepted[0].apns_id)
    assert [push.push_token for push in world.simulator.accepted] == [push_token(1)]


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("BadDeviceToken", GONE),
        ("DeviceTokenNotForTopic", GONE),
        ("ExpiredToken", GONE),
        ("Unregistered", GONE),
        ("BadCertificate", PushRejected),
        ("BadCertificateEnvironment", PushRejected),
        ("ExpiredProviderToken", PushRejected),
        ("Forbidden", PushRejected),
        ("InvalidProviderToken", PushRejected),
        ("MissingProviderToken", PushRejected),
        ("BadTopic", PushRejected),
        ("MissingTopic", PushRejected),
        ("TopicDisallowed", PushRejected),
        ("BadPath", PushRejected),
        ("MethodNotAllowed", PushRejected),
        ("PayloadTooLarge", PushRejected),
        ("IdleTimeout", TemporaryFailure),
        ("TooManyProviderTokenUpdates", TemporaryFailure),
        ("TooManyRequests", TemporaryFailure),
        ("InternalServerError", TemporaryFailure),
        ("ServiceUnavailable", TemporaryFailure),
        ("Shutdown", TemporaryFailure),
    ],
)
async def test_each_reason_of_apns_has_its_outcome_and_the_next_push_works(apns, reason, outcome):
    async with apns() as world:
        world.simulator.refuse(push_token(1), reason, times=1)

        if outcome is GONE:
            result = await world.push.notify_changed(push_token(1))
            assert (result.outcome, result.reason) == (GONE, reason)
        else:
            with pytest.raises(outcome, match=reason) as failure:
                await world.push.notify_changed(push_token(1))
            assert getattr(failure.value, "reason", reason) == reason

        assert world.simulator.accepted == []
        assert (await world.push.notify_changed(push_token(1))).outcome is PushOutcome.ACCEPTED
        assert world.simulator.counts.connections == 1


async def test_a_busy_device_names_the_wait(apns):
    async with apns() as world:
        world.simulator.refuse(push_token(1), "TooManyRequests")

        with pytest.raises(TemporaryFailure) as failure:
            await world.push.notify_changed(push_token(1))

    assert failure.value.retry_after_seconds == 30


@pytest.mark.parametrize("status", [301, 500, 502, 503])
def test_an_answer_without_a_reason_that_is_not_our_fault_is_tried_again(status):
    with pytest.raises(TemporaryFailure, match=str(status)):
        read_apns_answer(status, None, apns_id="1")


@pytest.mark.parametrize("token", ["", "zz", "../../admin", "ab\r\nx: y", "a" * 201, "aa/bb", "१२"])
async def test_a_token_that_is_not_hexadecimal_is_given_up_without_asking_apns(apns, token):
    async with apns() as world:
        result = await world.push.notify_changed(token)

    assert (result.outcome, result.reason) == (GONE, "BadDeviceToken")
    assert world.simulator.counts.connections == 0


async def test_a_target_is_reached_through_the_service_it_registered_with(apns):
    async with apns() as world:
        pushers = PassPushers(apns=world.push)
        await pushers.notify(PushTarget("apns", push_token(7)))
        with pytest.raises(ServiceMissing, match="pass2u"):
            await pushers.notify(PushTarget("pass2u", "anything"))

    assert [push.push_token for push in world.simulator.accepted] == [push_token(7)]


def test_a_push_token_is_not_in_what_gets_logged():
    assert push_token(5) not in repr(PushTarget("apns", push_token(5)))
