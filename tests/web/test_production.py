"""What only the demo may do, an installation in production does not; nobody can frame its pages."""

from dataclasses import replace

import pytest

from app.main import create_app
from app.passes.issue import make_link
from app.wallets.apple.certificates import DevelopmentCertificateRefused
from tests.make import NOON, make_issued
from tests.web.test_pass_page import IPHONE, WINDOWS

pytestmark = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def production(app, services):
    """The application as in production, but for its development certificate, which would not let it start."""
    settings = services.settings.model_copy(update={"mode": "production"})
    app.state.services = replace(services, settings=settings)
    return app


@pytest.fixture
async def page(production, services) -> str:
    """The address of a pass page."""
    async with services.sessions.begin() as session:
        return f"/p/{await make_link(session, await make_issued(session), now=NOON)}"


async def test_a_visitor_can_pretend_to_be_another_device_in_the_demo_only(client, page, services):
    asked = {"params": {"as": IPHONE}, "headers": {"User-Agent": WINDOWS}}

    in_production = await client.get(page, **asked)
    client._transport.app.state.services = services
    in_the_demo = await client.get(page, **asked)

    assert ["wallet-button" in each.text for each in (in_production, in_the_demo)] == [False, True]


async def test_no_page_can_be_framed_or_runs_foreign_scripts(client, page):
    paths = [page, "/p/unknown", "/join/unknown", "/join", "/docs"]

    pages = [await client.get(path, headers={"Accept": "text/html"}) for path in paths]

    policies = [answer.headers["content-security-policy"] for answer in pages]
    assert {answer.headers["content-type"] for answer in pages} == {"text/html; charset=utf-8"}
    assert all("frame-ancestors 'none'" in policy for policy in policies)
    assert not any("unsafe" in policy or "http" in policy for policy in policies)


@pytest.mark.parametrize("path", ["/demo", "/demo/events", "/demo/crm/coffee", "/demo/phones/one/refresh"])
async def test_there_is_no_desk(client, production, path):
    assert {(await client.request(method, path)).status_code for method in ("GET", "POST")} == {404}


async def test_a_certificate_of_the_development_ca_does_not_let_it_start(app_settings, clock):
    app = create_app(app_settings.model_copy(update={"mode": "production"}), clock=clock)

    with pytest.raises(DevelopmentCertificateRefused):
        async with app.router.lifespan_context(app):
            pass
