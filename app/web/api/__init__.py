"""The REST API under /api/v1: one file per resource; `keys` says who calls, `idempotency` does it once."""

from fastapi import APIRouter

from app.web.api import (
    accounts,
    budgets,
    campaign_results,
    campaigns,
    class_messages,
    devices,
    inbox,
    members,
    messages,
    passes,
    processes,
    programs,
    reconciliations,
    rules,
    scans,
    segments,
    sources,
    templates,
    transactions,
    webhooks,
)
from app.web.errors import MEDIA_TYPE

_PROBLEMS = {
    400: "The request cannot be read, or lacks a header",
    401: "The API key is missing, unknown, expired or revoked",
    403: "The API key lacks the scope",
    404: "There is no such thing in this programme",
    409: "It does not fit the state things are in",
    408: "The body took too long to arrive",
    413: "The body is too large",
    422: "A field is not valid; `errors` names it",
    423: "The member is blocked",
    503: "The database is busy: send it again",
}

router = APIRouter(
    prefix="/api/v1",
    generate_unique_id_function=lambda route: route.name,
    responses={
        status: {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, description in _PROBLEMS.items()
    },
)
# Transactions first: routes are tried in this order, and these are by far the most.
for resource in (
    transactions,
    members,
    accounts,
    passes,
    budgets,
    class_messages,
    messages,
    templates,
    devices,
    programs,
    rules,
    scans,
    segments,
    campaign_results,
    campaigns,
    sources,
    processes,
    reconciliations,
    inbox,
    webhooks,
):
    router.include_router(resource.router)
