"""Within what a portal allows: our own count first, its word where others used it up."""

import pytest

from app.crm.bitrix24 import commands
from app.errors import TemporaryFailure
from app.inbox.models import Source
from app.jobs.bitrix24 import asking
from app.simulators.bitrix24 import Limits
from app.simulators.bitrix24.limits import Meter
from tests.bitrix24.conftest import School

# What differs between the databases is tried by the processes, the gaps and the tab.
pytestmark = pytest.mark.parametrize("database", ["sqlite"])


async def test_our_share_of_the_requests_is_counted_over_all_workers(school: School):
    await school.change_settings(requests_at_once=3, requests_per_second=0.1)
    async with school.services.sessions() as session:
        source = await session.get_one(Source, school.source.id)
    deal = school.portal.add_deal(1)

    for _ in range(3):
        await asking.batch(school.services, source, commands.deals_with_contacts([deal.id]))
    with pytest.raises(TemporaryFailure, match="used up"):
        await asking.batch(school.services, source, commands.deals_with_contacts([deal.id]))
    school.clock.tick(10)
    await asking.batch(school.services, source, commands.deals_with_contacts([deal.id]))


async def test_a_portal_that_others_exhausted_is_asked_again_later(school: School):
    anna = school.add_client()
    await school.issue(anna)
    school.portal.meter = Meter(Limits(bucket=0.5))
    school.won(10_000, anna)
    await school.portal.calls.deliver()
    await school.work()
    assert any("QUERY_LIMIT_EXCEEDED" in str(each) for each in school.failures)

    school.portal.meter = Meter(Limits())
    await school.replay()

    assert await school.balance() == 1000
