"""What the clock starts at night."""

import pytest
from sqlalchemy import select

from app import metrics, rate_limits
from app.jobs import nightly
from app.rate_limits import RateLimit
from tests.make import NOON, make_account

pytestmark = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def app_settings(app_settings, development_ca):
    return app_settings.model_copy(update={"apple_certificate_path": None, "mode": "production"})


async def test_limits_at_rest_are_pruned(clock, services):
    async with services.sessions.begin() as session:
        await rate_limits.take(session, "idle", limit=1, period_seconds=60, now=NOON)
        await rate_limits.take(session, "busy", limit=1, period_seconds=86_400, now=NOON)
    clock.tick(3600)

    await nightly.prune(services)

    async with services.sessions() as session:
        assert list(await session.scalars(select(RateLimit.key))) == ["busy"]


async def test_what_the_reconciler_finds_is_a_metric(services):
    async with services.sessions.begin() as session:
        await make_account(session, balance=7)  # no entry says where it came from

    await nightly.reconcile(services)

    assert metrics.LEDGER_MISMATCHES._value.get() >= 1
