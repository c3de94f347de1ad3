"""The APNs simulator, spoken to by another HTTP/2 client than the one we push with."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import httpx2
import jwt
import pytest

from app.simulators.apns import ApnsFaults, ApnsSimulator, ProviderKey, Push
from tests.apns import (
    KEY_ID,
    TEAM_ID,
    TOPIC,
    authority,
    ca_file,
    provider_key_pem,
    public_pem,
    push_token,
    server_tls,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RIGHT = {"apns-topic": TOPIC}
TOKEN = push_token(1)


@asynccontextmanager
async def provider(simulator: ApnsSimulator) -> AsyncGenerator[httpx2.AsyncClient]:
    with ca_file("Apple") as ca:
        tls = ssl.create_default_context(cafile=ca)
    authority("Apple").issue_cert("pass.example").configure_cert(tls)
    async with (
        simulator.running() as address,
        httpx2.AsyncClient(
            http1=False, http2=True, verify=tls, base_url=f"https://{address.host}:{address.port}"
        ) as client,
    ):
        yield client


def simulator(**planned) -> ApnsSimulator:
    return ApnsSimulator(server_tls(), topics={TOPIC}, clock=lambda: NOW, **planned)


def token_simulator() -> ApnsSimulator:
    key = ProviderKey(public_pem(provider_key_pem("ours")), KEY_ID, TEAM_ID)
    tls = server_tls(asks_for_certificate=False)
    return ApnsSimulator(tls, topics={TOPIC}, provider_key=key, clock=lambda: NOW)


async def send(client, token=TOKEN, *, headers=RIGHT, content=b"{}", method="POST"):
    return await client.request(method, f"/3/device/{token}", headers=headers, content=content)


async def test_an_accepted_push_answers_200_with_its_id_and_no_body():
    apns, apns_id = simulator(), str(uuid4())
    async with provider(apns) as client:
        answer = await send(client, headers=RIGHT | {"apns-id": apns_id})
        unnamed = await send(client)

    assert (answer.status_code, answer.headers["apns-id"], answer.content) == (200, apns_id, b"")
    assert apns.accepted[0] == Push(TOKEN, TOPIC, apns_id, NOW)
    assert unnamed.headers["apns-id"] == apns.accepted[1].apns_id
    assert apns.counts.accepted == 2
    assert apns.counts.connections == 1


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"method": "GET"}, 405, "MethodNotAllowed"),
        ({"token": ""}, 400, "MissingDeviceToken"),
        ({"token": "abc"}, 400, "BadDeviceToken"),
        ({"token": "z" * 64}, 400, "BadDeviceToken"),
        ({"token": TOKEN + "/.."}, 404, "BadPath"),
        ({"headers": {}}, 400, "MissingTopic"),
        ({"headers": {"apns-topic": "pass example"}}, 400, "BadTopic"),
        ({"headers": {"apns-topic": "pass.example.other"}}, 400, "TopicDisallowed"),
        ({"headers": RIGHT | {"apns-id": "17"}}, 400, "BadMessageId"),
        ({"headers": RIGHT | {"apns-priority": "11"}}, 400, "BadPriority"),
        ({"headers": RIGHT | {"apns-expiration": "soon"}}, 400, "BadExpirationDate"),
        ({"headers": RIGHT | {"apns-push-type": "shout"}}, 400, "InvalidPushType"),
        ({"content": b""}, 400, "PayloadEmpty"),
        ({"content": b"["}, 400, "PayloadEmpty"),
        ({"content": b'"' + b"a" * 4095 + b'"'}, 413, "PayloadTooLarge"),
        ({"content": b'"' + b"a" * 200_000 + b'"'}, 413, "PayloadTooLarge"),
    ],
)
async def test_what_is_refused_names_its_reason_and_is_not_delivered(change, status, reason):
    apns = simulator()
    async with provider(apns) as client:
        answer = await send(client, **change)

    assert (answer.status_code, answer.json()) == (status, {"reason": reason})
    assert apns.accepted == []
    assert apns.counts.refused == 1


async def test_an_unregistered_token_is_gone_since_a_time_in_milliseconds():
    apns = simulator()
    apns.unregister(TOKEN)
    async with provider(apns) as client:
        answer = await send(client)

    assert answer.status_code == 410
    assert answer.json() == {"reason": "Unregistered", "timestamp": int(NOW.timestamp()) * 1000}


async def test_a_planned_refusal_ends_after_so_many_times():
    apns = simulator()
    apns.refuse(TOKEN, "TooManyRequests", times=2)
    async with provider(apns) as client:
        statuses = [(await send(client)).status_code for _ in range(3)]

    assert statuses == [429, 429, 200]


async def test_a_connected_device_gets_each_push_and_a_disconnected_one_the_last_on_return():
    apns = simulator()
    async with provider(apns) as client:
        async with apns.device(TOKEN.upper()) as queue:
            await send(client)
            await send(client)
            assert queue.qsize() == 2

        for _ in range(3):
            last = await send(client)
        async with apns.device(TOKEN) as queue:
            assert queue.get_nowait().apns_id == last.headers["apns-id"]
            assert queue.empty()
        async with apns.device(TOKEN) as queue:
            assert queue.empty()

    assert (apns.counts.accepted, apns.counts.delivered, apns.counts.coalesced) == (5, 3, 2)


async def test_two_topics_of_one_device_wait_side_by_side():
    apns = ApnsSimulator(server_tls(), topics={TOPIC, "pass.example.other"})
    async with provider(apns) as client:
        await send(client)
        await send(client, headers={"apns-topic": "pass.example.other"})

    heard = []
    apns.on_push(TOKEN, heard.append)
    assert {push.topic for push in heard} == {TOPIC, "pass.example.other"}


async def test_nothing_is_called_after_it_stopped_listening():
    apns, heard = simulator(), []
    stop = apns.on_push(TOKEN, heard.append)
    stop()
    async with provider(apns) as client:
        await send(client)

    assert heard == []


async def test_an_answer_takes_the_latency_that_was_asked_for():
    apns = simulator(latency_seconds=0.1)
    async with provider(apns) as client:
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(send(client, push_token(number)) for number in range(20)))
        took = asyncio.get_running_loop().time() - started

    assert 0.1 <= took < 1.5  # together, not one after the other


def bearer(*, key="ours", kid=KEY_ID, algorithm="ES256", **claims) -> dict[str, str]:
    claims = {"iss": TEAM_ID, "iat": int(NOW.timestamp())} | claims
    secret = provider_key_pem(key) if algorithm == "ES256" else "a secret of thirty-two bytes, at least"
    token = jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": kid})
    return RIGHT | {"authorization": f"bearer {token}"}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (lambda: RIGHT, "MissingProviderToken"),
        (lambda: RIGHT | {"authorization": "basic abc"}, "MissingProviderToken"),
        (lambda: RIGHT | {"authorization": "bearer junk"}, "InvalidProviderToken"),
        (lambda: bearer(key="another"), "InvalidProviderToken"),
        (lambda: bearer(kid="ZZZZZZZZZZ"), "InvalidProviderToken"),
        (lambda: bearer(iss="OTHER00000"), "InvalidProviderToken"),
        (lambda: bearer(iat="now"), "InvalidProviderToken"),
        (lambda: bearer(algorithm="HS256"), "InvalidProviderToken"),
        (lambda: bearer(iat=int(NOW.timestamp()) - 3601), "ExpiredProviderToken"),
        (lambda: bearer(iat=int(NOW.timestamp()) + 3600), "ExpiredProviderToken"),
    ],
)
async def test_a_token_that_is_not_right_is_refused_with_403(headers, reason):
    apns = token_simulator()
    async with provider(apns) as client:
        answer = await send(client, headers=headers())
        right = await send(client, headers=bearer())

    assert (answer.status_code, answer.json()) == (403, {"reason": reason})
    assert right.status_code == 200


async def test_a_cut_connection_answers_nobody_and_takes_nothing():
    apns = simulator(faults=ApnsFaults(drop_every=1))
    async with provider(apns) as client:
        with pytest.raises(httpx2.TransportError):
            await send(client)

    assert apns.accepted == []


async def test_a_connection_ends_after_its_goodbye_and_the_next_one_serves_on():
    apns = simulator(faults=ApnsFaults(goaway_every=3))
    async with provider(apns) as client:
        for number in range(9):
            try:
                answer = await send(client, push_token(number))
            except httpx2.TransportError:  # this client learns of the goodbye when it writes again
                answer = await send(client, push_token(number))
            assert answer.status_code == 200

    assert [push.push_token for push in apns.accepted] == [push_token(number) for number in range(9)]
    assert apns.counts.connections == 3


async def test_a_stranger_who_does_not_speak_tls_disturbs_nobody():
    apns = simulator()
    async with provider(apns) as client:
        port = client.base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()

        assert (await send(client)).status_code == 200


async def test_a_client_certificate_is_demanded():
    apns = simulator()
    with ca_file("Apple") as ca:
        tls = ssl.create_default_context(cafile=ca)
    async with apns.running() as address:
        url = f"https://{address.host}:{address.port}/3/device/{TOKEN}"
        async with httpx2.AsyncClient(http1=False, http2=True, verify=tls) as client:
            with pytest.raises(ssl.SSLError, match="certificate required"):
                await client.post(url, headers=RIGHT, content=b"{}")

    assert apns.counts.requests == 0
