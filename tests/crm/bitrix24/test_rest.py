"""Bitrix24's REST against the simulated portal: what is read, and how each refusal is told apart."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from app.crm.bitrix24 import facts
from app.crm.bitrix24.rest import Access, Bitrix24Rest, Command, NoJson, Refused, TokenExpired
from app.errors import PermanentFailure, TemporaryFailure
from app.simulators.bitrix24 import Limits, Portal, running
from tests.conftest import ManualClock


@dataclass
class At:
    """A portal and how to reach it."""

    portal: Portal
    url: str
    rest: Bitrix24Rest

    @property
    def webhook(self) -> Access:
        return Access(f"{self.url}/rest/{self.portal.webhook_user}/{self.portal.webhook_secret}/")

    def app(self, token: str) -> Access:
        return Access(f"{self.url}/rest/", token)

    async def renew(self, refresh: str, secret: str | None = None):
        return await self.rest.renew(
            refresh,
            client_id=self.portal.app.client_id,
            client_secret=secret or self.portal.app.client_secret,
            url=f"{self.url}/oauth/token/",
        )


@pytest.fixture
async def at(clock: ManualClock) -> AsyncIterator[At]:
    portal = Portal(clock=clock, limits=Limits(bucket=3, operating_seconds=1, seconds_per_call=0.5))
    rest = Bitrix24Rest()
    async with running(portal) as url:
        yield At(portal, url, rest)
        await rest.close()


DEAL = {"entityTypeId": 2, "id": 1}


async def test_a_deal_and_its_contact_come_in_one_request(at):
    at.portal.win(at.portal.add_deal("10000.50", at.portal.add_contact("Анна", "8 (912) 345-67-89")))
    commands = {
        "deal": Command("crm.item.get", DEAL),
        "contact": Command("crm.item.get", {"entityTypeId": 3, "id": "$result[deal][item][contactId]"}),
    }

    batch = await at.rest.batch(at.webhook, commands)

    deal = facts.deal(batch.results["deal"]["item"])
    contact = facts.contact(batch.results["contact"]["item"])
    assert (Decimal(deal.amount), deal.outcome, deal.contact_id) == (Decimal("10000.50"), "won", 1)
    assert (contact.name, contact.phones) == ("Анна", ("8 (912) 345-67-89",))
    assert batch.errors == {}


async def test_the_old_form_of_a_deal_says_the_same(at):
    at.portal.lose(at.portal.add_deal("10000.50", at.portal.add_contact("Анна")))

    new = facts.deal((await at.rest.call(at.webhook, "crm.item.get", DEAL))["item"])
    old = facts.deal(await at.rest.call(at.webhook, "crm.deal.get", {"id": 1}))

    assert (new.outcome, new.updated_at, new.contact_id) == (old.outcome, old.updated_at, old.contact_id)
    assert Decimal(new.amount) == Decimal(old.amount)


async def test_what_is_gone_does_not_keep_the_rest_of_a_batch(at):
    at.portal.add_deal(1)
    commands = {str(number): Command("crm.item.get", {"entityTypeId": 2, "id": number}) for number in (1, 2)}

    batch = await at.rest.batch(at.webhook, commands)

    assert list(batch.results) == ["1"]
    assert isinstance(batch.errors["2"], Refused)
    assert batch.errors["2"].code == "NOT_FOUND"


async def test_a_full_bucket_asks_to_come_again_in_a_second(at):
    at.portal.add_deal(1)
    for method in ("crm.deal.get", "crm.deal.get", "crm.deal.contact.items.get"):
        await at.rest.call(at.webhook, method, {"id": 1})

    with pytest.raises(TemporaryFailure, match="QUERY_LIMIT_EXCEEDED") as failure:
        await at.rest.call(at.webhook, "crm.deal.get", {"id": 1})

    assert failure.value.retry_after_seconds == 1


async def test_a_method_that_worked_too_long_is_left_alone_for_a_minute(at):
    at.portal.add_deal(1)
    for _ in range(2):
        await at.rest.call(at.webhook, "crm.item.get", DEAL)

    with pytest.raises(TemporaryFailure, match="OPERATION_TIME_LIMIT") as failure:
        await at.rest.call(at.webhook, "crm.item.get", DEAL)

    assert failure.value.retry_after_seconds == 60


async def test_an_expired_token_is_renewed_and_the_old_refresh_token_is_spent(at, clock):
    at.portal.add_deal(1)
    access, refresh = at.portal.grant()
    clock.tick(3600)

    with pytest.raises(TokenExpired):
        await at.rest.call(at.app(access), "crm.item.get", DEAL)
    tokens = await at.renew(refresh)
    await at.rest.call(at.app(tokens.access), "crm.item.get", DEAL)

    with pytest.raises(Refused, match="invalid_grant"):
        await at.renew(refresh)
    with pytest.raises(Refused, match="invalid_client"):
        await at.renew(tokens.refresh, secret="wrong")


async def test_a_web_page_for_an_answer_is_worth_another_try(at):
    at.portal.answers_html = 1

    with pytest.raises(NoJson, match="502"):
        await at.rest.call(at.webhook, "crm.item.get", DEAL)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("placement.bind", {}, "ACCESS_DENIED"),
        ("no.such", {}, "ERROR_METHOD_NOT_FOUND"),
        ("crm.item.get", {"entityTypeId": 2, "id": 99}, "NOT_FOUND"),
    ],
)
async def test_a_final_no_is_final(at, method, params, code):
    with pytest.raises(Refused) as refusal:
        await at.rest.call(at.webhook, method, params)

    assert refusal.value.code == code


async def test_nobody_there_is_temporary_and_no_address_is_not(at):
    with pytest.raises(TemporaryFailure, match="no answer"):
        await at.rest.call(Access("http://127.0.0.1:9/rest/"), "crm.item.get", {})
    with pytest.raises(PermanentFailure):
        await at.rest.call(Access("school.bitrix24.ru/"), "crm.item.get", {})


async def test_no_failure_tells_a_secret(at):
    at.portal.answers_html = 1

    with pytest.raises(NoJson) as failure:
        await at.rest.call(at.webhook, "crm.item.get", DEAL)

    assert at.portal.webhook_secret not in str(failure.value)
    assert "secret" not in repr(Access("https://x/", "secret"))
