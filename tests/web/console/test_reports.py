"""The preset reports: what each lists, page by page, safe for spreadsheets, and on record."""

import csv
import io
import zipfile
from datetime import timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from app.campaigns.models import Campaign
from app.clock import utc_now
from app.db import new_id
from app.passes.issue import issue
from app.passes.models import Pass, Registration
from app.points import ledger
from app.reports.presets import PRESETS, Period, lines
from app.spreadsheets import XLSX, XlsxFile
from app.staff.models import AuditEntry
from tests.make import NOON, make_account, make_member, make_program

FORMULA = '=HYPERLINK("https://evil.example")'


@pytest.fixture
def clock(clock):
    """Entries are found by their ids, which have the time of the machine."""
    clock.now = utc_now()
    return clock


@pytest.fixture
async def program(services):
    async with services.sessions.begin() as session:
        return await make_program(session, time_zone="Asia/Almaty", points_expire_after_days=10)


@pytest.fixture
async def people(services, program, clock):
    """One who moves points, one who joined long ago and is blocked, one of another programme."""
    now = clock()
    async with services.sessions.begin() as session:
        account = await make_account(session, program, phone="+79161234567")
        anna = await make_member(session, account, name=FORMULA, phone="+79161234567", created_at=now)
        await issue(session, anna, template="coffee", now=now)
        await ledger.earn(
            session, account.id, 100, reason="Receipt 1", source="till", source_event="1", now=now
        )
        await ledger.redeem(session, account.id, 30, reason="", source="till", source_event="2", now=now)
        await ledger.adjust(session, account.id, -5, reason="-5", source="api", source_event="3", now=now)
        old = await make_member(
            session, await make_account(session, program), name="Boris", created_at=now - timedelta(days=99)
        )
        old.state = "blocked"
        other = await make_program(session, slug="other")
        await make_member(session, await make_account(session, other), name="Else", created_at=now)
    clock.tick(60)


async def downloaded(browser, report, days="30"):
    answer = await browser.post(f"/console/reports/{report}", data={"days": days})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def test_members_are_listed_by_what_they_did(signed_in, people):
    browser, _ = await signed_in("manager")
    found = {
        name: [row["Name"] for row in await downloaded(browser, name)]
        for name in ("joined", "without_card", "lapsed", "blocked")
    }

    assert found == {
        "joined": [f"'{FORMULA}"],
        "without_card": [f"'{FORMULA}"],
        "lapsed": ["Boris"],
        "blocked": ["Boris"],
    }
    assert [row["Balance"] for row in await downloaded(browser, "joined")] == ["65"]


async def test_whose_card_a_phone_holds_needs_no_link(signed_in, services, people):
    async with services.sessions.begin() as session:
        held = (await session.scalars(select(Pass))).one()
        session.add(
            Registration(
                device_library_identifier="dev_1",
                pass_id=held.id,
                program_id=held.program_id,
                push_service="apns",
                push_token="a" * 64,
                registered_at=NOON,
                seen_at=NOON,
            )
        )
    browser, _ = await signed_in("manager")

    assert await downloaded(browser, "without_card") == []


async def test_movements_are_listed_in_words_and_on_the_programmes_clock(signed_in, people, clock):
    browser, _ = await signed_in("manager")
    moved = await downloaded(browser, "movements")

    assert [(row["Kind"], row["Points"], row["Balance"]) for row in moved] == [
        ("Earned", "100", "100"),
        ("Spent", "-30", "70"),
        ("Correction", "-5", "65"),
    ]
    assert moved[2]["Reason"] == "'-5"
    assert (
        moved[0]["When"]
        == f"{(clock.now - timedelta(minutes=1)).astimezone(ZoneInfo('Asia/Almaty')):%Y-%m-%d %H:%M:%S}"
    )
    assert [row["Points"] for row in await downloaded(browser, "redemptions")] == ["-30"]
    assert [row["Points"] for row in await downloaded(browser, "corrections")] == ["-5"]
    clock.tick(8 * 24 * 3600)
    browser, _ = await signed_in("owner")
    assert await downloaded(browser, "movements", days="7") == []


async def test_balances_and_what_expires_are_as_of_now(signed_in, people):
    browser, _ = await signed_in("owner")

    assert [(row["Balance"], row["Members"]) for row in await downloaded(browser, "balances")] == [
        ("65", "1")
    ]
    assert [row["Points"] for row in await downloaded(browser, "expiring")] == ["65"]


async def test_campaigns_are_listed_with_how_many_were_told(signed_in, services, program, clock):
    async with services.sessions.begin() as session:
        campaign = Campaign(id=new_id("cmp"), program_id=program.id, name="News", state="done", definition={})
        campaign.created_by, campaign.created_at = "cli", clock.now - timedelta(days=100)
        campaign.done, campaign.skipped = 3, 1
        session.add(campaign)
    browser, _ = await signed_in("owner")

    [row] = await downloaded(browser, "campaigns", days="365")
    assert (row["Name"], row["Told"], row["Left out"]) == ("News", "3", "1")
    assert await downloaded(browser, "campaigns", days="90") == []


async def test_a_workbook_holds_the_same_and_its_texts_are_no_formulas(signed_in, people):
    browser, _ = await signed_in("manager")
    answer = await browser.post("/console/reports/joined", data={"days": "30", "form": "xlsx"})

    assert answer.headers["content-type"] == XLSX
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    head, row = read_sheet(answer.content)
    found = dict(zip(head, row, strict=False))  # who has no tier has no cell for it at the end
    assert (found["Name"], found["Balance"]) == (("inlineStr", FORMULA), ("n", "65"))


async def test_what_one_sheet_cannot_hold_goes_on_in_the_next(monkeypatch):
    monkeypatch.setattr("app.spreadsheets.ROWS_MAX", 3)
    file = io.BytesIO()
    workbook = XlsxFile(file, ["Name", "Points"])
    for page in ([("Anna", 1), ("Boris", None)], [("Vera", 2.5)]):
        workbook.add(page)
    workbook.close()

    sheets = [read_sheet(file.getvalue(), number) for number in (1, 2)]
    assert [[value for _, value in row] for _, *rows in sheets for row in rows] == [
        ["Anna", "1"],
        ["Boris"],
        ["Vera", "2.5"],
    ]


def read_sheet(content, number=1):
    """The rows of a sheet: of the head the texts, of the others (type, value) of each cell."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = ElementTree.fromstring(archive.read(f"xl/worksheets/sheet{number}.xml"))  # noqa: S314  ours
    assert sheet.find(".//{*}f") is None  # a formula
    rows = [
        [(cell.get("t", "n"), "".join(cell.itertext())) for cell in row.iterfind("{*}c")]
        for row in sheet.iterfind(".//{*}row")
    ]
    return [[text for _, text in rows[0]], *rows[1:]]


async def test_pages_join_without_a_gap(services, program, people, clock):
    period = Period(clock() - timedelta(days=1), clock() + timedelta(days=1))
    found = [
        [
            [row[3] for row in page]
            async for page in lines(services.sessions, report, program, period, page=page)
        ]
        for report in (PRESETS["movements"],)
        for page in (1, 2, 3, 1000)
    ]

    assert [[each for page in pages for each in page] for pages in found] == [[100, -30, -5]] * 4
    assert [len(pages) for pages in found] == [3, 2, 1, 1]


async def test_a_download_stands_in_the_audit_log(signed_in, services, people):
    browser, user = await signed_in("manager")
    await downloaded(browser, "joined", days="7")

    async with services.sessions() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "report.downloaded"))
    assert (entry.who, entry.subject, entry.after["days"]) == (user.id, "joined", 7)


@pytest.mark.parametrize(("report", "days", "status"), [("everything", "30", 404), ("joined", "8", 422)])
async def test_what_there_is_not_is_refused(signed_in, program, report, days, status):
    browser, _ = await signed_in("owner")

    assert (await browser.post(f"/console/reports/{report}", data={"days": days})).status_code == status
