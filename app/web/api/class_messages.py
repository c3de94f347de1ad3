"""Messages to everybody who holds a pass in Google Wallet: one call to Google, however many they are."""

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Response
from pydantic import AfterValidator, AwareDatetime, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Program
from app.passes import class_messages
from app.passes.class_messages import BadClassMessage, Wording
from app.passes.models import ClassMessage
from app.web.api import paging
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import MessagesRead, MessagesWrite
from app.web.api.members import Language
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInPath, Page, Taken, Time, Word, storable
from app.web.dependencies import Now, Reading
from app.web.errors import Problem

router = APIRouter(tags=["messages"])

_Text = Annotated[
    str,
    Field(min_length=1, max_length=class_messages.TEXT_LENGTH_MAX, examples=["Free cocoa this Friday"]),
    AfterValidator(storable),
]
_Header = Annotated[
    str, Field(min_length=1, max_length=class_messages.HEADER_LENGTH_MAX), AfterValidator(storable)
]


class ClassMessageIn(Taken):
    """A message to all holders. It cannot name the member: everybody reads the same."""

    texts: dict[Language, _Text] = Field(
        description="By language; the programme's own is needed", min_length=1, max_length=20
    )
    header: _Header | None = Field(None, description="Above the text; without one the programme's name")
    template: Word | None = Field(None, description="Only to passes of this template", examples=["coffee"])
    rings: bool = Field(True, strict=True, description="False: the text stands on the card, no phone rings")
    shown_until: AwareDatetime | None = Field(
        None, description="When it leaves the card; without one in 30 days"
    )


class ClassMessageOut(Given):
    id: str = Field(examples=["cms_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["class_message"] = "class_message"
    class_id: str
    header: str
    texts: dict[str, str]
    state: Literal["prepared", "queued", "sent", "refused"] = Field(
        description="`prepared`: a campaign's, sent when all its passes have the text"
    )
    notify: Literal["rings", "silent"] | None = Field(description="What it did; null before it is sent")
    why: str = Field(description="Why silent, waiting or refused", examples=["within_budget", "quiet_hours"])
    holders: int | None = Field(description="Passes that somebody held when it was sent")
    campaign_id: str | None = Field(description="The campaign whose text it is")
    shown_until: Time
    created_at: Time
    sent_at: Time | None

    @classmethod
    def of(cls, message: ClassMessage) -> "ClassMessageOut":
        return cls(
            id=message.id,
            class_id=message.class_id,
            header=message.header,
            texts=message.texts,
            state=cast("Literal['prepared', 'queued', 'sent', 'refused']", message.state),
            notify=cast("Literal['rings', 'silent'] | None", message.notify or None),
            why=message.why,
            holders=message.holders,
            campaign_id=message.campaign_id,
            shown_until=message.shown_until,
            created_at=message.created_at,
            sent_at=message.sent_at,
        )


class ClassMessagesOut(Given):
    data: list[ClassMessageOut]


@router.post(
    "/google/messages",
    status_code=202,
    summary="Tell everybody who holds the pass in Google Wallet",
    responses={202: {"model": ClassMessagesOut}},
)
async def create_class_message(
    wanted: ClassMessageIn, caller: MessagesWrite, once: OnlyOnce, now: Now
) -> Response:
    """Queue one message for each class the passes belong to.

    Three a day ring; a fourth is shown in silence. In the programme's quiet hours it waits for their end.
    """

    async def work(session: AsyncSession) -> ClassMessagesOut:
        program = await session.get_one(Program, caller.program_id)
        wording = Wording(
            texts=wanted.texts,
            header=wanted.header,
            asks_to_ring=wanted.rings,
            shown_until=wanted.shown_until,
        )
        try:
            made = await class_messages.create(
                session, program, wording, template=wanted.template, by=caller.key_id, now=now
            )
        except BadClassMessage as error:
            raise Problem(422, "invalid_message", str(error), pointer=error.pointer) from error
        return ClassMessagesOut(data=[ClassMessageOut.of(each) for each in made])

    return await once.answer(caller, wanted, work, now=now, status=202)


@router.get("/google/messages", summary="List messages to all holders in Google Wallet")
async def list_class_messages(
    caller: MessagesRead, session: Reading, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[ClassMessageOut]:
    query = select(ClassMessage).where(ClassMessage.program_id == caller.program_id)
    page = await paging.page(session, query, ClassMessage.id, limit=limit, cursor=cursor)
    return page.of([ClassMessageOut.of(row) for row in page.rows])


@router.get("/google/messages/{class_message_id}", summary="One message to all holders in Google Wallet")
async def get_class_message(
    class_message_id: IdInPath, caller: MessagesRead, session: Reading
) -> ClassMessageOut:
    return ClassMessageOut.of(await class_messages.by_id(session, caller.program_id, class_message_id))
