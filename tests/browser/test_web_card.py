"""The card as a page: a till can scan it, it is there without a network, and it shows the newest balance."""

import io

import httpx2
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, OpenPage
from tests.browser.desk import Demo

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_till_can_scan_the_card_and_nothing_sticks_out(open_page: OpenPage, demo: Demo, number):
    member = demo.member("Vera Page", number)
    page = open_page(f"{member['link']}/card?lang=en")
    expect(page.get_by_role("heading", name="Morrow Coffee")).to_be_visible()
    expect(page.get_by_text("Vera Page")).to_be_visible()

    code = page.get_by_role("img", name=member["card_number"])
    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.locator(".code").screenshot())))

    assert [each.text for each in read] == [member["card_number"]]
    box = code.bounding_box()
    assert box
    assert box["y"] + box["height"] < page.viewport_size["height"]  # without scrolling
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("viewport", [PHONE], ids=["phone"])
def test_the_card_is_there_without_a_network_and_says_from_when(open_page: OpenPage, demo: Demo, number):
    link = demo.member("Vera Underground", number)["link"]
    page = open_page(f"{link}/card?lang=en", goes_offline=True)
    expect(page.locator("html[data-kept]")).to_be_attached()

    page.context.set_offline(True)
    page.goto(f"{link}/card")

    expect(page.get_by_text("No network: the card is shown as of")).to_be_visible()
    expect(page.get_by_text("Vera Underground")).to_be_visible()
    assert page.evaluate("[...document.images].every((each) => each.complete && each.naturalWidth > 0)")
    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.locator(".code").screenshot())))
    assert len(read) == 1

    page.context.set_offline(False)
    page.reload()
    expect(page.get_by_text("No network")).to_be_hidden()


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_an_open_card_shows_the_new_balance_when_one_comes_back_to_it(
    open_page: OpenPage, demo: Demo, number
):
    member = demo.member("Vera Returning", number)
    page = open_page(f"{member['link']}/card?lang=en")
    expect(page.locator(".large dd")).to_have_text("0")

    answer = httpx2.post(
        f"{demo.url}/api/v1/accounts/{member['account_id']}/transactions",
        json={"kind": "earn", "points": 250, "reason": "test"},
        headers={"Authorization": f"Bearer {demo.key('coffee')}", "Idempotency-Key": f"card:{number}"},
        trust_env=False,
    )
    assert answer.status_code in (200, 201), answer.text
    page.evaluate("dispatchEvent(new Event('online'))")

    expect(page.locator(".large dd")).to_have_text("250")
