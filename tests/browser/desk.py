"""Words for the browser tests: what a person does on the demo desk, by what stands on the screen."""

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx2
from playwright.sync_api import FrameLocator, Locator, Page, expect


@dataclass(frozen=True)
class Viewport:
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Demo:
    """A running demo."""

    url: str
    pid: int

    def key(self, program: str) -> str:
        """The API key its desk uses."""
        page = httpx2.get(f"{self.url}/demo", trust_env=False).text
        found = re.search(r'<script type="application/json" id="setup">(.*?)</script>', page, re.DOTALL)
        assert found is not None
        return json.loads(found[1])["keys"][program]

    def member(self, name: str, phone: str, *, program: str = "coffee") -> dict[str, Any]:
        """A new member through the REST API, with "link", the address of the pass's page."""
        headers = {"Authorization": f"Bearer {self.key(program)}"}
        with httpx2.Client(base_url=f"{self.url}/api/v1", headers=headers, trust_env=False) as api:
            sent = {"name": name, "phone": phone, "language": "en"}
            answer = api.post("/members", json=sent, headers={"Idempotency-Key": f"test:{name}:{phone}"})
            assert answer.status_code == 201, answer.text
            member = answer.json()
            passes = api.get("/passes", params={"member_id": member["id"]}).json()["data"]
            link = api.post(
                f"/passes/{passes[0]['id']}/link", json={}, headers={"Idempotency-Key": f"link:{phone}"}
            )
            assert link.status_code == 201, link.text
            return member | {"link": link.json()["url"]}


class DeskPhone:
    """One of the two iPhones on the desk."""

    def __init__(self, page: Page, name: str) -> None:
        self.root = page.locator(f"#phone-{name}")
        self.page = page

    @property
    def browser(self) -> FrameLocator:
        """The page in the phone's browser, once it takes taps."""
        return self.root.frame_locator("iframe.ready")

    @property
    def banner(self) -> Locator:
        return self.root.locator(".banners .notification")

    def open(self, app: str) -> None:
        self.root.locator(f"[data-open={app}]").click()

    def join(
        self, program: str, name: str, number: str, *, level: str | None = None, wants_news: bool = False
    ) -> None:
        """Fill the programme's form in the phone's browser and send it."""
        self.open("safari")
        self.root.locator(".home").click()
        self.root.locator(f".bookmark.{program}").click()
        self.browser.locator("#name").fill(name)
        self.browser.locator("#phone").fill(number)
        if level is not None:
            self.browser.locator(f"input[name=level][value={level}]").check()
        self.browser.locator("#consent_personal_data").check()
        if wants_news:
            self.browser.locator("#consent_marketing").check()
        self.browser.locator("button[type=submit]").click()

    def texts(self) -> Locator:
        self.open("messages")
        return self.root.locator(".bubble")

    def add_from_newest_text(self) -> None:
        """Tap the link of the newest message, then "Add to Apple Wallet"."""
        self.texts().last.locator(".link").click()
        self.browser.locator(".wallet-button").click()

    def forward_newest_text(self, android: "DeskPhone") -> None:
        """Send the newest message on to the Android phone; tap its link there, and "Add to Google Wallet"."""
        newest = self.texts().last
        link = newest.locator(".link").inner_text()
        newest.locator(".forward-android").click()
        # The phone holds texts of the tests before: its newest is this one only once it has arrived.
        android.texts().locator(".link").filter(has_text=link).click()
        android.browser.locator(".google-button").click()

    def card(self, member: str) -> Locator:
        """The card of a member in Wallet, whatever else lies in the stack."""
        return self.root.locator("pass-preview").filter(has_text=member)

    def points(self, member: str) -> Locator:
        return self.card(member).locator(".primary .value")

    def lock_screen(self) -> Locator:
        self.open("lock")
        return self.root.locator(".lock-list .words")

    def rings(self) -> int:
        return int(self.root.get_attribute("data-rings") or "0")


class Till:
    """The till on the desk."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.result = page.locator("#till-result")

    def scan(self, member: str) -> None:
        """Choose the member's card; waits until the till knows the member."""
        option = self.page.locator("#card option").filter(has_text=member)
        expect(option).to_have_count(1)
        self.page.locator("#card").select_option(value=option.get_attribute("value"))

    def buy(self, amount: str) -> None:
        self.page.locator("#amount").fill(amount)
        self.page.locator("[data-act=earn] button").click()

    def redeem(self, points: str) -> None:
        self.page.locator("#points").fill(points)
        self.page.locator("[data-act=redeem] button").click()

    def reverse(self) -> None:
        self.page.locator("[data-act=reverse] button").click()


def desk(page: Page) -> tuple[DeskPhone, DeskPhone, Till]:
    """The two phones and the till of an opened desk, once the phones are connected."""
    for name in ("one", "two"):
        expect(page.locator(f"#phone-{name}")).to_have_attribute("data-rings", re.compile(r"\d+"))
    return DeskPhone(page, "one"), DeskPhone(page, "two"), Till(page)
