"""The tab in a deal's card: what a manager sees and does there, and who may not."""

import re

import httpx2

from app.simulators.bitrix24 import Deal
from tests.bitrix24.conftest import School


async def open_tab(school: School, deal: Deal, **changes: str) -> httpx2.Response:
    query, form = school.portal.tab_request(deal)
    return await school.http.post(
        "/bitrix24/school/deal", params=query, data=form | changes, follow_redirects=True
    )


async def opened(school: School, deal: Deal) -> httpx2.Response:
    """The tab, after the job has read the deal."""
    page = await open_tab(school, deal)
    school.clock.tick()
    await school.work()
    return await school.http.get(str(page.url))


async def act(school: School, page: httpx2.Response, which: str, **fields: str) -> httpx2.Response:
    """Send one of the page's forms."""
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page.text))
    answer = await school.http.post(
        f"/bitrix24/school/deal/{which}", data=hidden | fields, follow_redirects=True
    )
    await school.settle()
    return answer


async def test_a_manager_sees_the_balance_redeems_adds_and_leaves(school: School):
    anna = school.add_client()
    await school.issue(anna)
    deal = school.portal.add_deal(800, anna)
    await school.settle()

    waiting = await open_tab(school, deal)
    assert "Читаем сделку" in waiting.text
    page = await opened(school, deal)
    assert ">500<" in page.text
    assert "не больше 400" in page.text
    redeemed = await act(school, page, "redeem", points="400")
    assert "Списано баллов: 400." in redeemed.text
    assert re.search(r'id="to-pay">400(,00)?\s₽<', redeemed.text)
    added = await act(school, redeemed, "add", points="30", reason="Турнир")
    left = await act(school, added, "leave")

    assert "Баланс остался без изменений" in left.text
    assert await school.balance() == 130
    assert [(each.kind, each.points, each.reason) for each in await school.entries()][1:] == [
        ("redeem", -400, "Курс шахмат"),
        ("earn", 30, "Турнир"),
    ]
    lines = [each["fields"]["COMMENT"] for each in school.said("crm.timeline.comment.add")]
    assert lines == ["Passbell: -400 баллов, на карте 100.", "Passbell: +30 баллов, на карте 130."]
    assert str(anna.fields["UF_CRM_PASSBELL_BALANCE"]) == "130"


async def test_no_more_than_half_of_the_deal_is_paid_in_points_however_often_it_is_tried(school: School):
    anna = school.add_client()
    await school.issue(anna)
    deal = school.portal.add_deal(800, anna)
    page = await opened(school, deal)

    too_much = await act(school, page, "redeem", points="401")
    first = await act(school, page, "redeem", points="300")
    again = await act(school, page, "redeem", points="300")  # the button was pressed twice
    more = await act(school, first, "redeem", points="101")

    assert (too_much.status_code, more.status_code, again.status_code) == (409, 409, 200)
    assert "не больше 400" in too_much.text
    assert "не больше 100" in more.text
    assert await school.balance() == 200


async def test_a_client_without_a_card_is_offered_one(school: School):
    deal = school.portal.add_deal(800, school.add_client())
    page = await opened(school, deal)
    assert "Выпустить карту" in page.text

    issued = await act(school, page, "issue")

    assert "Карта выпущена" in issued.text
    assert await school.balance() == 500
    assert len(await school.texts()) == 1


async def test_a_deal_without_a_contact_says_so(school: School):
    page = await opened(school, school.portal.add_deal(800))

    assert "В сделке нет контакта" in page.text


async def test_only_the_portal_opens_the_tab_and_only_it_frames_it(school: School):
    deal = school.portal.add_deal(800, school.add_client())

    right = await open_tab(school, deal)
    refused = [
        await open_tab(school, deal, APPLICATION_TOKEN="wrong"),
        await open_tab(school, deal, APPLICATION_TOKEN=""),
        await open_tab(school, deal, PLACEMENT_OPTIONS="[]"),
        await school.http.get("/bitrix24/school/deal", params={"t": "e30.00"}),
        await school.http.get(str(right.url)[:-1] + ("1" if str(right.url).endswith("0") else "0")),
    ]

    assert {each.status_code for each in refused} == {404}
    policy = right.headers["content-security-policy"]
    assert f"frame-ancestors 'self' {school.source.settings['portal_url']};" in policy
    school.clock.tick(3601)
    assert (await school.http.get(str(right.url))).status_code == 404
