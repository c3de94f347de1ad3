"""Google's callbacks at /google/callback: a pass was saved on Android, or removed."""

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response

from app import metrics
from app.job_queue import enqueue, kinds
from app.passes import google_callbacks, google_objects
from app.wallets.google.callback import NotGenuine, root_keys, verified
from app.wallets.google.wallet import CALLBACK_PATH
from app.web.dependencies import FromServices, Now, Transaction
from app.web.errors import Problem

log = structlog.get_logger(__name__)
router = APIRouter(include_in_schema=False)


@router.post(CALLBACK_PATH, status_code=204)
async def receive(request: Request, services: FromServices, session: Transaction, now: Now) -> Response:
    """Believe a callback whose signatures hold, note it in the pass's story, have Google asked who holds it.

    Keys are never fetched because of a callback that does not hold: everybody could have us fetch them.
    """
    if services.google is None:
        raise Problem(404, "not_found", "There is nothing here.")
    document = await google_callbacks.known_keys(session)
    if document is None:
        metrics.GOOGLE_CALLBACKS.labels("no_keys").inc()
        raise Problem(503, "google_keys_unknown", "Google's keys were not fetched yet: call again.")
    try:
        called = verified(
            await request.body(), root_keys(document), issuer_id=services.google.issuer_id, now=now
        )
    except NotGenuine as error:
        metrics.GOOGLE_CALLBACKS.labels("refused").inc()
        log.warning("google.callback_refused", reason=str(error))
        raise Problem(401, "bad_signature", "This is not a callback of Google's for our passes.") from error

    metrics.GOOGLE_CALLBACKS.labels(called.event).inc()
    if not await google_callbacks.is_new(session, called.nonce, event=called.event, now=now):
        return Response(status_code=204)
    known = await google_objects.record_held(
        session, called.object_id, is_save=called.event == "save", now=now
    )
    if known is None:
        log.info("google.callback_unknown_object")  # another system may share the issuer
    else:
        await enqueue(session, kinds.CHECK_GOOGLE, {"pass_id": known.pass_id}, priority=kinds.MESSAGE)
    return Response(status_code=204)
