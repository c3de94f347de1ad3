"""The page behind the link in the SMS, on each kind of device."""

import io
import re
from urllib.parse import urlsplit

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, OpenPage
from tests.browser.desk import Demo

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

INSTAGRAM = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Instagram 400.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"
)
ANDROID = "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36"


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_a_desktop_shows_a_code_that_leads_a_camera_to_the_same_page(open_page: OpenPage, demo: Demo, number):
    link = demo.member("Vera Desktop", number)["link"]
    page = open_page(link)

    shot = page.locator(".qr").screenshot()

    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(shot)))
    assert [code.text for code in read] == [link]
    corners = read[0].position
    assert corners.top_right.x - corners.top_left.x > 150  # pixels: it fills its box


@pytest.mark.parametrize("viewport", [PHONE], ids=["phone"])
def test_the_card_on_the_page_is_drawn_with_a_code_the_till_can_scan(open_page: OpenPage, demo: Demo, number):
    member = demo.member("Vera Scanned", number)
    page = open_page(member["link"], user_agent=SAFARI)
    card = page.locator("pass-preview")
    expect(card.locator(".primary .value")).to_have_text("0")
    expect(card.locator(".row")).to_contain_text("Vera Scanned")

    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(card.screenshot())))

    assert [code.text for code in read] == [member["card_number"]]


@pytest.mark.parametrize("viewport", [PHONE], ids=["phone"])
@pytest.mark.parametrize(
    ("browser_name", "button"),
    [(SAFARI, "Add to Apple Wallet"), (ANDROID, "Another wallet app: the .pkpass file")],
    ids=["iphone", "android"],
)
def test_a_phone_is_offered_its_own_way_to_the_card(
    open_page: OpenPage, demo: Demo, number, browser_name, button
):
    link = demo.member("Vera Phone", number)["link"]

    page = open_page(f"{link}?lang=en", user_agent=browser_name)

    expect(page.get_by_role("link", name=button)).to_have_attribute(
        "href", f"{urlsplit(link).path}/card.pkpass"
    )


@pytest.mark.parametrize("viewport", [PHONE], ids=["phone"])
def test_a_card_issued_a_moment_ago_gets_its_google_button_by_itself(open_page: OpenPage, demo: Demo, number):
    link = demo.member("Vera Android", number)["link"]

    page = open_page(f"{link}?lang=en", user_agent=ANDROID)

    button = page.get_by_role("link", name="Add to Google Wallet")
    expect(button).to_be_visible()
    expect(button).to_have_attribute("href", re.compile("/gp/v/save/"))
    expect(page.get_by_text("on its way to Google")).to_have_count(0)
    assert button.bounding_box()["height"] >= 48  # Google's least


@pytest.mark.parametrize("viewport", [PHONE], ids=["phone"])
def test_an_app_that_cannot_add_cards_says_how_to_leave_it(open_page: OpenPage, demo: Demo, number):
    link = demo.member("Vera App", number)["link"]

    page = open_page(f"{link}?lang=en", user_agent=INSTAGRAM)

    expect(page.get_by_role("heading", name="Open in your browser")).to_be_visible()
    expect(page.get_by_role("button", name="Copy the link")).to_be_visible()
    expect(page.get_by_text("Add to")).to_have_count(0)
