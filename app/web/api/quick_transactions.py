"""The usual movement of points, past the framework: what tills and CRMs send all day.

The same door as `transactions`, which documents it and answers everything that is not plain here: a purchase
by its amount, a reversal, a refusal, a repeat, a body that cannot be read. A door that answers None has done
nothing.
"""

from typing import Annotated

import orjson
from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.db import new_id
from app.points import ledger, quick
from app.points.movements import Movement
from app.points.refusals import PointsOutOfRange
from app.web.api import idempotency, keys
from app.web.api.transactions import Adjust, Earn, Redeem, source_event_of
from app.web.api.values import written_time
from app.web.dependencies import services_of

_Plain = Earn | Redeem | Adjust
_PLAIN: TypeAdapter[_Plain] = TypeAdapter(Annotated[_Plain, Field(discriminator="kind")])


def routes() -> list[Route]:
    """The door, to be tried before the framework."""
    return [Route("/api/v1/accounts/{account_id}/transactions", post_quickly, methods=["POST"])]


async def post_quickly(request: Request) -> Response | None:
    """Earn, redeem or adjust points, in the usual case; None in any other, with nothing done."""
    caller = await keys.caller_quickly(request, "transactions:write")
    key = request.headers.get("idempotency-key", "")
    if caller is None or not idempotency.is_key(key):
        return None
    wanted = await _plain(request)
    if wanted is None or wanted.points is None:
        return None
    try:
        movement = ledger.plain_movement(
            wanted.kind,
            request.path_params["account_id"],
            wanted.points,
            reason=wanted.reason,
            source=wanted.source,
            source_event=wanted.source_event or source_event_of(key),
            member_id=wanted.member_id,
            program_id=caller.program_id,
            now=services_of(request).clock(),
        )
    except PointsOutOfRange:
        return None
    return await _post(request, key, idempotency.request_hash(request, wanted), movement)


async def _plain(request: Request) -> _Plain | None:
    """The movement that was sent, or None when it is not a plain one."""
    if request.headers.get("content-type") != "application/json":
        return None
    try:
        return _PLAIN.validate_python(orjson.loads(await request.body()))
    except (orjson.JSONDecodeError, ValidationError):
        return None


async def _post(request: Request, key: str, request_hash: str, movement: Movement) -> Response | None:
    entry_id = new_id("ent")
    keep = quick.Keep(key, request_hash, answer_to(entry_id, movement))
    running = idempotency.running_keys(request)
    mine = (movement.program_id or "", key)
    if mine in running:
        return None
    running.add(mine)
    try:
        body = await request.app.state.plain_movements.post(entry_id, movement, keep)
    finally:
        running.discard(mine)
    return None if body is None else Response(body, quick.STATUS, media_type="application/json")


def answer_to(entry_id: str, movement: Movement) -> quick.Answer:
    """A TransactionOut as it will be written, byte for byte: with gaps for what only the database knows."""
    account_id, member_id, reason, source, source_event = (
        orjson.dumps(text).decode()
        for text in (
            movement.account_id,
            movement.member_id,
            movement.reason,
            movement.source,
            movement.source_event,
        )
    )
    return quick.Answer(
        before_sequence=f'{{"object":"transaction","entry":{{"id":"{entry_id}","object":"entry",'
        f'"account_id":{account_id},"member_id":{member_id},"sequence":',
        before_balance=f',"kind":"{movement.kind}","points":{movement.points},"balance_after":',
        before_balance_again=f',"amount":null,"reason":{reason},"source":{source},'
        f'"source_event":{source_event},"reverses":null,"at":"{written_time(movement.now)}"}},"balance":',
        end=',"repeated":false}',
    )
