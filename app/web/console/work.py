"""The work: what waits and for how long, what gave up and why, and putting that back."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response

from app import job_queue
from app.staff import audit
from app.staff.roles import Permission
from app.web.console.pages import console_page, the_program
from app.web.console.route import PATH, ConsoleRoute, needs, who_is
from app.web.dependencies import Language, Now, Reading, Transaction

router = APIRouter(prefix="/console/work", route_class=ConsoleRoute)

HELD_MAX = 100
_ID_MAX = 2**63 - 1

JobId = Annotated[int, Path(ge=1, le=_ID_MAX)]


@router.get("")
@needs(Permission.OPERATIONS)
async def show(request: Request, session: Reading, language: Language) -> Response:
    """The newest jobs that gave up, then every kind of job with how many there are."""
    program = await the_program(request, session)
    return console_page(
        request,
        "work.html",
        language=language,
        time_zone=program.time_zone if program else "UTC",
        program=program,
        held=await job_queue.held(session, limit=HELD_MAX),
        stats=await job_queue.stats(session),
    )


@router.post("/{job_id}/requeue")
@needs(Permission.OPERATIONS)
async def requeue(request: Request, job_id: JobId, session: Transaction, now: Now) -> Response:
    """Have one job tried again; one that is not held any more is left alone."""
    if await job_queue.requeue(session, [job_id]):
        await audit.record(session, who_is(request).actor, "job.requeued", str(job_id), now=now)
    return RedirectResponse(f"{PATH}/work", 303)


@router.post("/requeue")
@needs(Permission.OPERATIONS)
async def requeue_shown(
    request: Request,
    session: Transaction,
    now: Now,
    job_id: Annotated[list[Annotated[int, Form(ge=1, le=_ID_MAX)]], Form(max_length=HELD_MAX)] = [],  # noqa: B006
) -> Response:
    """Have the jobs tried again that the page showed: what gave up since was not read by anybody."""
    if count := await job_queue.requeue(session, job_id):
        after = {"jobs": count}
        await audit.record(session, who_is(request).actor, "job.requeued", "shown", after=after, now=now)
    return RedirectResponse(f"{PATH}/work", 303)
