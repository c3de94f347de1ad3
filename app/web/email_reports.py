"""Reports about letters, at /hooks/email/{token}: what bounced, and who complained.

The mail server hands a report over as it is: `curl --data-binary @- …` in an alias does.
"""

import hmac

from fastapi import APIRouter, Request

from app.campaigns import bounces
from app.channels.bounces import UnreadableReport, read
from app.web.dependencies import FromServices, Now, Transaction
from app.web.errors import Problem
from app.wiring import reports_token

router = APIRouter(prefix="/hooks/email", include_in_schema=False)


@router.post("/{token}")
async def receive(
    token: str, request: Request, services: FromServices, session: Transaction, now: Now
) -> dict[str, str | bool]:
    """Note one report. The secret address is what proves the sender: nobody signs such mails."""
    if not hmac.compare_digest(token.encode(), reports_token(services.secret_key).encode()):
        raise Problem(404, "not_found", "There is nothing here.")
    try:
        report = read(await request.body())
        noted = await bounces.note(
            session,
            report.message_id,
            report.kind,
            status=report.status,
            is_bad_address=report.is_bad_address,
            now=now,
        )
    except UnreadableReport as error:
        raise Problem(422, "unreadable_report", str(error)) from error
    except bounces.UnknownLetter as error:
        raise Problem(404, "unknown_letter", str(error)) from error
    return {"message_id": noted.message_id, "outcome": noted.outcome, "suppressed": noted.is_suppressed}
