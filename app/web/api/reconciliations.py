"""The nightly comparison of a CRM's deals with the books: as JSON, or as CSV for a spreadsheet."""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from app.crm.bitrix24 import source as bitrix24
from app.deals import reconciliation
from app.deals.models import Reconciliation
from app.inbox import sources
from app.job_queue import enqueue, kinds
from app.web.api.keys import SourcesRead, SourcesWrite
from app.web.api.values import Given, IdInPath, Page, Time
from app.web.dependencies import Reading, Transaction
from app.web.errors import Problem

router = APIRouter(tags=["sources"])


class LineOut(Given):
    """One thing that did not agree."""

    result: Literal["corrected", "disputed"]
    what: str = Field(examples=["deal:7405"])
    theirs: str = Field(description="What the CRM says", examples=["10000 RUB"])
    ours: str = Field(description="What our books said", examples=["0.00"])
    points: int = Field(description="That the correction moved")
    reason: str = Field(description="Of a dispute, as in the inbox", examples=["unknown_contact"])


class ReconciliationOut(Given):
    """A night's comparison, in numbers."""

    id: str = Field(examples=["rec_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["reconciliation"] = "reconciliation"
    at: Time
    matched: int
    corrected: int
    disputed: int


class ReconciliationWithLines(ReconciliationOut):
    lines: list[LineOut]


class Ordered(Given):
    """The comparison will be made in a moment; its report is then the newest of the list."""

    object: Literal["reconciliation_ordered"] = "reconciliation_ordered"


def _fields(report: Reconciliation) -> dict[str, Any]:
    return {name: getattr(report, name) for name in ("id", "at", "matched", "corrected", "disputed")}


@router.post("/sources/{source_id}/reconciliations", status_code=202, summary="Compare now")
async def order_reconciliation(source_id: IdInPath, caller: SourcesWrite, session: Transaction) -> Ordered:
    source = await sources.source_by_id(session, caller.program_id, source_id)
    if source.kind != bitrix24.KIND:
        raise Problem(
            409, "not_comparable", f"a source of the kind {source.kind} cannot be asked for its deals"
        )
    await enqueue(session, kinds.BITRIX24_RECONCILE, {"source_id": source.id}, priority=kinds.BULK)
    return Ordered()


@router.get("/sources/{source_id}/reconciliations", summary="The last month's comparisons, newest first")
async def list_reconciliations(
    source_id: IdInPath, caller: SourcesRead, session: Reading
) -> Page[ReconciliationOut]:
    source = await sources.source_by_id(session, caller.program_id, source_id)
    found = await reconciliation.reports(session, source)
    return Page(data=[ReconciliationOut(**_fields(each)) for each in found], has_more=False, next_cursor=None)


@router.get("/sources/{source_id}/reconciliations/{report_id}", summary="One comparison, line by line")
async def get_reconciliation(
    source_id: IdInPath, report_id: IdInPath, caller: SourcesRead, session: Reading
) -> ReconciliationWithLines:
    source = await sources.source_by_id(session, caller.program_id, source_id)
    report = await reconciliation.report_by_id(session, source, report_id)
    return ReconciliationWithLines(**_fields(report), lines=[LineOut(**line) for line in report.lines])


@router.get(
    "/sources/{source_id}/reconciliations/{report_id}/lines.csv",
    summary="One comparison as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "One row a line, safe in a spreadsheet"}},
)
async def get_reconciliation_csv(
    source_id: IdInPath, report_id: IdInPath, caller: SourcesRead, session: Reading
) -> Response:
    source = await sources.source_by_id(session, caller.program_id, source_id)
    report = await reconciliation.report_by_id(session, source, report_id)
    return Response(
        reconciliation.as_csv(report),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{report.id}.csv"'},
    )
