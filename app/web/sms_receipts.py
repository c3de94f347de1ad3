"""Delivery receipts of SMS providers, at /hooks/sms/{token}: did the link arrive?"""

import hmac

import structlog
from fastapi import APIRouter, Request

from app.channels.sms import BadReceipt
from app.members import messages
from app.web.dependencies import FromServices, Now, Transaction
from app.web.errors import Problem
from app.wiring import receipt_token

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/hooks/sms", include_in_schema=False)


@router.api_route("/{token}", methods=["GET", "POST"])
async def receive(
    token: str, request: Request, services: FromServices, session: Transaction, now: Now
) -> dict[str, int]:
    """Note what became of messages. The secret address is what proves the sender: providers sign nothing."""
    if not hmac.compare_digest(
        token.encode(), receipt_token(services.settings, services.secret_key).encode()
    ):
        raise Problem(404, "not_found", "There is nothing here.")
    try:
        receipts = services.sms.parse_receipt(
            await request.body(), dict(request.headers), dict(request.query_params)
        )
    except BadReceipt as error:
        raise Problem(422, "bad_receipt", str(error)) from error
    known = await messages.note_receipts(
        session,
        services.sms.name,
        [(each.provider_id, each.state, each.error) for each in receipts],
        now=now,
    )
    log.info("sms.receipts", received=len(receipts), known=known)
    return {"accepted": known}
