"""What a delivery stands for that names only ids: the CRM is asked, with no transaction open."""

from collections.abc import Sequence

from app.crm import Ask, AskedCrm, Delivery
from app.crm.events import DealTouched, Event
from app.crm.known import ASKED
from app.crm.rest import open_api
from app.errors import PermanentFailure
from app.inbox import sources
from app.inbox.handle import Received
from app.inbox.reasons import CannotApply
from app.wiring import Services


async def read_back(services: Services, received: Received, delivery: Delivery) -> Sequence[Event]:
    """The events of a delivery, each deal replaced by what it is worth now.

    Raises CannotApply where the CRM refuses us, TemporaryFailure where it is away.
    """
    source = received.source
    crm = ASKED[source.kind]
    events = crm.parse(delivery, source.settings)
    if not any(isinstance(event, DealTouched) for event in events):
        return events
    token = sources.read_secrets(services.secret_key, source).get(sources.API_TOKEN)
    if token is None:
        raise CannotApply("no_api_token", source=source.slug)
    try:
        async with open_api(crm.api_url(source.settings), token) as ask:
            read = [await _read(crm, ask, event, received) for event in events]
    except PermanentFailure as error:
        raise CannotApply("crm_refused", answer=str(error)) from error
    return [event for event in read if event is not None]


async def _read(crm: AskedCrm, ask: Ask, event: Event, received: Received) -> Event | None:
    if not isinstance(event, DealTouched):
        return event
    return await crm.read_deal(ask, event.deal, received.source.settings)
