"""For a manager who looks at a deal: the deal as it is now, and a line in its story when points move."""

from collections.abc import Mapping

from app.crm.bitrix24 import commands
from app.crm.bitrix24 import source as bitrix24
from app.inbox.models import Source
from app.job_queue import JsonScalar, Retry
from app.jobs.bitrix24 import asking, reading, showing
from app.members.models import Program
from app.points import ledger
from app.wiring import Services

RETRY = Retry(attempts_max=5, first_wait_seconds=1, longest_wait_seconds=10)


async def read_deal(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Read one deal and its contact."""
    async with services.sessions() as session:
        source = await session.get_one(Source, str(args["source_id"]))
    await reading.read_deals(services, source, [int(str(args["deal_id"]))])


async def tell(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Write what moved into the deal's story, and the new balance into the contact."""
    async with services.sessions() as session:
        source = await session.get_one(Source, str(args["source_id"]))
        program = await session.get_one(Program, source.program_id)
        entry = await ledger.entry(session, str(args["entry_id"]))
    if entry is not None and bitrix24.settings_of(source.settings).comments:
        line = services.texts.get(
            program.language, "crm.line", points=f"{entry.points:+d}", balance=str(entry.balance_after)
        )
        await asking.call(services, source, commands.timeline("deal", int(str(args["deal_id"])), line))
    await showing.show(services, {"source_id": source.id})
