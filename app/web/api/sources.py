"""Sources: the CRMs, shops and tills that report to the programme."""

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Request
from pydantic import Field

from app.crm.known import CRMS
from app.inbox import sources
from app.inbox.models import Source
from app.web.api.keys import SourcesRead, SourcesWrite
from app.web.api.values import Given, IdInPath, Name, Page, Taken, Time
from app.web.crm_webhooks import KnownSources, address_of
from app.web.dependencies import FromServices, Now, Reading, Transaction
from app.web.errors import Problem

router = APIRouter(tags=["sources"])

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", examples=["boutique"])]
Secret = Annotated[str, Field(pattern=r"^[!-~]{16,256}$")]
ApiToken = Annotated[str, Field(pattern=r"^[!-~]{1,4096}$")]  # Kommo's are JSON Web Tokens
State = Literal["active", "paused"]


class NewSource(Taken):
    """A system that will deliver events."""

    kind: str = Field(max_length=20, examples=["generic"], description="One of: " + ", ".join(CRMS))
    slug: Slug
    name: Name | None = None
    settings: dict[str, Any] = Field({}, description="Their shape belongs to the kind: see the documentation")
    secret: Secret | None = Field(None, description="The vendor's; default: a new one is made")
    api_token: ApiToken | None = Field(None, description="To ask the source back: HubSpot, Kommo")


class SourceChanges(Taken):
    name: Name | None = None
    settings: dict[str, Any] | None = None
    state: State | None = Field(None, description="A paused source's deliveries are refused")


class NewSecret(Taken):
    secret: Secret | None = Field(None, description="The vendor's; default: a new one is made")
    api_token: ApiToken | None = Field(None, description="Replaces the one there is")


class SourceOut(Given):
    """A system that delivers events."""

    id: str = Field(examples=["src_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["source"] = "source"
    kind: str
    slug: str
    name: str
    settings: dict[str, Any]
    state: State
    created_at: Time

    @classmethod
    def of(cls, source: Source) -> "SourceOut":
        return cls(**_fields(source))


class SourceWithSecret(SourceOut):
    """A source with its secret, which is shown this once."""

    secret: str
    address: str = Field(
        description="Where it must deliver", examples=["https://cards.example/hooks/boutique"]
    )


def _fields(source: Source) -> dict[str, Any]:
    names = ("id", "kind", "slug", "name", "settings", "state", "created_at")
    return {name: getattr(source, name) for name in names}


def _with_secret(source: Source, secret: str, public_url: str) -> SourceWithSecret:
    return SourceWithSecret(**_fields(source), secret=secret, address=address_of(public_url, source, secret))


@router.post("/sources", status_code=201, summary="Add a source")
async def add_source(
    wanted: NewSource, caller: SourcesWrite, session: Transaction, services: FromServices, now: Now
) -> SourceWithSecret:
    """Connect a system. A slug is used once, so a repeat of this request is refused and changes nothing."""
    crm = CRMS.get(wanted.kind)
    if crm is None:
        detail = f"there are the kinds {', '.join(CRMS)}"
        raise Problem(422, "invalid_field", detail, pointer="/body/kind")
    source, secret = await sources.add(
        session,
        services.secret_key,
        caller.program_id,
        crm,
        kind=wanted.kind,
        slug=wanted.slug,
        name=wanted.name or "",
        settings=wanted.settings,
        secret=wanted.secret,
        api_token=wanted.api_token,
        now=now,
    )
    return _with_secret(source, secret, services.settings.public_url)


@router.get("/sources", summary="List sources")
async def list_sources(caller: SourcesRead, session: Reading) -> Page[SourceOut]:
    found = await sources.list_sources(session, caller.program_id)
    return Page(data=[SourceOut.of(each) for each in found], has_more=False, next_cursor=None)


@router.get("/sources/{source_id}", summary="One source, by id or slug")
async def get_source(source_id: IdInPath, caller: SourcesRead, session: Reading) -> SourceOut:
    return SourceOut.of(await sources.source_by_id(session, caller.program_id, source_id))


@router.patch("/sources/{source_id}", summary="Change, pause or resume a source")
async def change_source(
    source_id: IdInPath,
    wanted: SourceChanges,
    caller: SourcesWrite,
    session: Transaction,
    request: Request,
) -> SourceOut:
    source = await sources.source_by_id(session, caller.program_id, source_id)
    changed = await sources.change(
        session,
        source,
        CRMS[source.kind],
        name=wanted.name,
        settings=wanted.settings,
        state=wanted.state,
    )
    _heard(request)
    return SourceOut.of(changed)


@router.post("/sources/{source_id}/rotate", summary="Give a source a new secret")
async def rotate_source(
    source_id: IdInPath,
    caller: SourcesWrite,
    session: Transaction,
    services: FromServices,
    request: Request,
    now: Now,
    wanted: NewSecret | None = None,
) -> SourceWithSecret:
    """The old secret is good for one more day, so that the sender can change over without losing events."""
    source = await sources.source_by_id(session, caller.program_id, source_id)
    secret = await sources.rotate(
        session,
        services.secret_key,
        source,
        CRMS[source.kind],
        secret=wanted.secret if wanted else None,
        api_token=wanted.api_token if wanted else None,
        now=now,
    )
    _heard(request)
    return _with_secret(source, secret, services.settings.public_url)


def _heard(request: Request) -> None:
    """This process's door reads its sources anew; the others' do within two seconds."""
    cast(KnownSources, request.app.state.sources).forget()
