"""Errors as problem+json (RFC 9457): which status and code each of the program's errors becomes.

Every problem has `type` (a page of the documentation), `title`, `status`, `detail`, `code` (stable,
snake_case) and `request_id`; a refused field stands in `errors` as {pointer, detail}.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from app.campaigns import approval, conditions, definition, drafts, plan, rules, segments, steering
from app.crm import BadSourceSettings
from app.deals import reconciliation
from app.inbox import handle, sources
from app.members import api_keys, people, resending
from app.passes import class_messages, scans
from app.passes.issue import UnknownLink, UnknownPass
from app.points import amounts, refusals
from app.web.database_errors import CANNOT_CONNECT, was_away, was_busy
from app.web.rendering import PageNotFound, error_page, is_for_people
from app.webhooks import endpoints

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
DOCS = "https://passbell.org/problems/"

# error -> (status, code). The detail is the error's own text.
TABLE: dict[type[Exception], tuple[int, str]] = {
    UnknownPass: (404, "unknown_pass"),
    UnknownLink: (404, "unknown_link"),
    people.UnknownMember: (404, "unknown_member"),
    people.UnknownAccount: (404, "unknown_account"),
    people.AmbiguousExternalId: (409, "ambiguous_external_id"),
    people.InvalidPhone: (422, "invalid_phone"),
    people.PhoneKnown: (409, "phone_known"),
    people.PhoneTaken: (409, "phone_taken"),
    people.CardNumberTaken: (409, "card_number_taken"),
    people.ExternalIdTaken: (409, "external_id_taken"),
    resending.UnknownMessage: (404, "unknown_message"),
    scans.UnknownCard: (404, "unknown_card"),
    scans.WrongCode: (409, "wrong_code"),
    scans.CodeUsed: (409, "code_used"),
    class_messages.UnknownClassMessage: (404, "unknown_class_message"),
    class_messages.NoClass: (409, "no_class"),
    resending.NotResendable: (409, "not_resendable"),
    resending.MayArriveTwice: (409, "may_arrive_twice"),
    conditions.InvalidCondition: (422, "invalid_condition"),
    definition.InvalidDefinition: (422, "invalid_campaign"),
    drafts.UnknownCampaign: (404, "unknown_campaign"),
    drafts.CampaignState: (409, "campaign_state"),
    plan.EmptyAudience: (409, "empty_audience"),
    plan.UnknownTemplate: (409, "unknown_template"),
    approval.PlanChanged: (409, "plan_changed"),
    approval.PlanExpired: (409, "plan_expired"),
    approval.TemplateChanged: (409, "template_changed"),
    approval.SecondPersonNeeded: (403, "second_person_needed"),
    steering.UnknownVariant: (422, "unknown_variant"),
    rules.UnknownRule: (404, "unknown_rule"),
    segments.UnknownSegment: (404, "unknown_segment"),
    segments.SegmentNameTaken: (409, "segment_name_taken"),
    segments.NoSuchCsv: (422, "invalid_csv"),
    api_keys.UnknownApiKey: (404, "unknown_api_key"),
    api_keys.UnknownScope: (422, "unknown_scope"),
    endpoints.UnknownEndpoint: (404, "unknown_endpoint"),
    endpoints.UnknownDelivery: (404, "unknown_delivery"),
    endpoints.BadEndpoint: (422, "invalid_endpoint"),
    reconciliation.UnknownReconciliation: (404, "unknown_reconciliation"),
    sources.UnknownSource: (404, "unknown_source"),
    sources.BadSource: (422, "invalid_source"),
    sources.SlugTaken: (409, "slug_taken"),
    BadSourceSettings: (422, "invalid_source_settings"),
    handle.UnknownInboundEvent: (404, "unknown_inbound_event"),
    handle.NotReplayable: (409, "not_replayable"),
    amounts.InvalidAmount: (422, "invalid_amount"),
    refusals.UnknownAccount: (404, "unknown_account"),
    refusals.UnknownEntry: (404, "unknown_entry"),
    refusals.UnknownMember: (404, "unknown_member"),
    refusals.UnknownTier: (422, "unknown_tier"),
    refusals.MemberBlocked: (423, "member_blocked"),
    refusals.NotEnoughPoints: (409, "not_enough_points"),
    refusals.PointsOutOfRange: (422, "points_out_of_range"),
    refusals.BadFact: (422, "invalid_field"),
    refusals.SourceEventReused: (409, "source_event_reused"),
    refusals.AlreadyReversed: (409, "already_reversed"),
    refusals.CannotReverse: (409, "cannot_reverse"),
    refusals.NoEarningRate: (409, "no_earning_rate"),
}

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_field",
    429: "too_many_requests",
    503: "unavailable",
}
_TITLES = {
    "invalid_field": "A field is not valid",
    "internal_error": "Something went wrong on our side",
}


class Problem(Exception):
    """An answer a door decides on by itself, where no rule's error says it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        pointer: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.pointer, self.headers = (
            status,
            code,
            detail,
            pointer,
            headers,
        )


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem+json answer."""
    body: dict[str, Any] = {
        "type": f"{DOCS}{code}",
        "title": _TITLES.get(code, code.replace("_", " ").capitalize()),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request.scope.get("state", {}).get("request_id", ""),
    }
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status, media_type=MEDIA_TYPE, headers=headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the table and FastAPI's own: programs get a problem, people a page.

    Unexpected ones too, as the edge does it for what is answered before FastAPI: `unexpected`.
    """
    for error_type in TABLE:
        app.add_exception_handler(error_type, _known)
    app.add_exception_handler(Problem, _known)
    for error_type in (DBAPIError, *CANNOT_CONNECT):
        app.add_exception_handler(error_type, _database)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(PageNotFound, _page_not_found)
    app.add_exception_handler(Exception, _unexpected)


async def _unexpected(request: Request, _error: Exception) -> Response:
    return unexpected(request)


def answer(request: Request, error: Exception) -> JSONResponse | None:
    """The problem that an error of the table, or a door's own Problem, becomes; None for any other."""
    if isinstance(error, Problem):
        errors = [{"pointer": error.pointer, "detail": error.detail}] if error.pointer else []
        return problem(request, error.status, error.code, error.detail, errors=errors, headers=error.headers)
    for kind in type(error).__mro__:
        if kind in TABLE:
            status, code = TABLE[kind]
            return problem(request, status, code, str(error))
    return None


async def _known(request: Request, error: Exception) -> Response:
    known = answer(request, error)
    assert known is not None
    if not is_for_people(request.url.path):
        return known
    page = "link_unknown.html" if isinstance(error, UnknownLink) else "problem.html"
    return error_page(request, known.status_code, page)


async def _database(request: Request, error: Exception) -> Response:
    if was_away(error):
        log.error("database.away", reason=type(error).__name__)
        detail = "the database cannot be reached: send the request again, under the same Idempotency-Key"
        return refusal(request, 503, "unavailable", detail, headers={"Retry-After": "1"})
    if not (isinstance(error, DBAPIError) and was_busy(error)):
        raise error
    detail = "the database is busy with the same rows: send the request again"
    return refusal(request, 503, "busy", detail, headers={"Retry-After": "1"})


async def _page_not_found(request: Request, _error: Exception) -> Response:
    return error_page(request, 404)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"pointer": _pointer(found, error.body), "detail": str(found["msg"])} for found in error.errors()[:50]
    ]
    return problem(request, 422, "invalid_field", _summary(errors), errors=errors)


def _pointer(found: Mapping[str, Any], body: object) -> str:
    """Where a field stands, as "/body/points" or "/query/limit"."""
    place = list(found["loc"])
    if str(found["type"]).startswith("union_tag"):  # the field that chooses among models: `kind`
        place.append(found["ctx"]["discriminator"].strip("'"))
    elif len(place) > 1 and isinstance(body, dict) and place[1] in cast("dict[str, object]", body).values():
        del place[1]  # what it chose: no part of where the field stands
    # The caller's own names stand in it: what could not be written as UTF-8 is escaped.
    parts = (str(part).encode("utf-8", "backslashreplace").decode()[:64] for part in place)
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


def _summary(errors: Sequence[dict[str, str]]) -> str:
    return "; ".join(f"{found['pointer']}: {found['detail']}" for found in errors[:3])


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "error")
    headers = dict(error.headers) if error.headers else None
    return refusal(request, error.status_code, code, str(error.detail), headers=headers)


def unexpected(request: Request) -> Response:
    """The answer to an error that nobody foresaw. Whoever catches it lets it go on into the log."""
    detail = "The request was not carried out; its id finds it in the log."
    return refusal(request, 500, "internal_error", detail)


def refusal(
    request: Request, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None
) -> Response:
    """A refusal in the form that whoever asks can read: a page for people, a problem for programs."""
    if not is_for_people(request.url.path):
        return problem(request, status, code, detail, headers=headers)
    response = error_page(request, status)
    response.headers.update(headers or {})
    return response
