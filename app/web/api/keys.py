"""Who is calling the API: the Bearer key, and whether it may do what it asks for."""

import time
from datetime import datetime
from typing import Annotated, cast

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from app.members import api_keys
from app.members.api_keys import BadApiKey, Caller
from app.web.dependencies import services_of
from app.web.errors import Problem
from app.wiring import Services

# Asking the database for the key at every request costs a third of a transaction's time. So a process
# believes a key it has seen for this long; a revoked one is refused everywhere after it at the latest.
BELIEVED_SECONDS = 2.0

_bearer = HTTPBearer(
    scheme_name="ApiKey",
    bearerFormat="pb_live_...",
    description="An API key: `passbell key create` makes one.",
    auto_error=False,
)


class _Believed:
    """Keys this process has checked a moment ago."""

    def __init__(self) -> None:
        self._callers: dict[str, tuple[float, Caller]] = {}

    def get(self, key: str) -> Caller | None:
        until, caller = self._callers.get(key, (0.0, None))
        return caller if until > time.monotonic() else None

    def add(self, key: str, caller: Caller) -> None:
        now = time.monotonic()
        self._callers = {k: seen for k, seen in self._callers.items() if seen[0] > now}
        self._callers[key] = (now + BELIEVED_SECONDS, caller)


async def _authorized(
    needed: SecurityScopes,
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    if credentials is None:
        raise _unauthorized("send your API key: `Authorization: Bearer pb_live_...`")
    services = services_of(request)
    caller = await _caller(request, services, credentials.credentials, services.clock())
    for scope in needed.scopes:
        if not caller.may(scope):
            raise Problem(
                403, "missing_scope", f"this API key lacks the scope {scope}: create one that has it"
            )
    return caller


async def caller_quickly(request: Request, scope: str) -> Caller | None:
    """Whom a request's key speaks for, if it is a good one and has this scope."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    services = services_of(request)
    try:
        caller = await _caller(request, services, key, services.clock())
    except Problem:
        return None
    return caller if caller.may(scope) else None


def _seen(request: Request, key: str, now: datetime) -> Caller | None:
    seen = _believed(request).get(key)
    return seen if seen is not None and (seen.expires_at is None or seen.expires_at > now) else None


def _believed(request: Request) -> _Believed:
    state = request.app.state
    if not hasattr(state, "believed_keys"):
        state.believed_keys = _Believed()
    return cast(_Believed, state.believed_keys)


async def _caller(request: Request, services: Services, key: str, now: datetime) -> Caller:
    if (seen := _seen(request, key, now)) is not None:
        return seen
    try:
        async with services.sessions.begin() as session:
            caller = await api_keys.caller_of(session, key, now=now)
    except BadApiKey as error:
        raise _unauthorized(str(error)) from error
    _believed(request).add(key, caller)
    return caller


def _unauthorized(detail: str) -> Problem:
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="passbell"'})


MembersRead = Annotated[Caller, Security(_authorized, scopes=["members:read"])]
MembersWrite = Annotated[Caller, Security(_authorized, scopes=["members:write"])]
AccountsRead = Annotated[Caller, Security(_authorized, scopes=["accounts:read"])]
AccountsWrite = Annotated[Caller, Security(_authorized, scopes=["accounts:write"])]
TransactionsWrite = Annotated[Caller, Security(_authorized, scopes=["transactions:write"])]
PassesRead = Annotated[Caller, Security(_authorized, scopes=["passes:read"])]
PassesWrite = Annotated[Caller, Security(_authorized, scopes=["passes:write"])]
TemplatesRead = Annotated[Caller, Security(_authorized, scopes=["templates:read"])]
MessagesRead = Annotated[Caller, Security(_authorized, scopes=["messages:read"])]
MessagesWrite = Annotated[Caller, Security(_authorized, scopes=["messages:write"])]
DevicesRead = Annotated[Caller, Security(_authorized, scopes=["devices:read"])]
SegmentsRead = Annotated[Caller, Security(_authorized, scopes=["segments:read"])]
SegmentsWrite = Annotated[Caller, Security(_authorized, scopes=["segments:write"])]
WebhooksRead = Annotated[Caller, Security(_authorized, scopes=["webhooks:read"])]
WebhooksWrite = Annotated[Caller, Security(_authorized, scopes=["webhooks:write"])]
SourcesRead = Annotated[Caller, Security(_authorized, scopes=["sources:read"])]
SourcesWrite = Annotated[Caller, Security(_authorized, scopes=["sources:write"])]
InboxRead = Annotated[Caller, Security(_authorized, scopes=["inbox:read"])]
InboxWrite = Annotated[Caller, Security(_authorized, scopes=["inbox:write"])]
CampaignsRead = Annotated[Caller, Security(_authorized, scopes=["campaigns:read"])]
CampaignsWrite = Annotated[Caller, Security(_authorized, scopes=["campaigns:write"])]
ApprovalsWrite = Annotated[Caller, Security(_authorized, scopes=["approvals:write"])]
ProgramRead = Annotated[Caller, Security(_authorized, scopes=["program:read"])]
ProgramWrite = Annotated[Caller, Security(_authorized, scopes=["program:write"])]
