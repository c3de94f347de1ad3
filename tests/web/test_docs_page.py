"""The documentation page: ours alone, in both languages."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
async def browser(database_url: str, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(database_url=database_url, data_dir=tmp_path, worker=False, _env_file=None)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test")


async def test_the_page_and_all_it_loads_come_from_here(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"?#][^"]*)"', answer.text)

    assert answer.status_code == 200
    assert all(address.startswith("/") for address in loaded)
    assert len([address for address in loaded if "swagger-ui" in address]) == 2
    for address in loaded:
        assert (await browser.get(address)).status_code == 200, address


async def test_no_inline_script_or_style_is_allowed_or_used(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/docs")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=", answer.text)


@pytest.mark.parametrize(("language", "heading"), [("en", "One request"), ("ru", "Один запрос")])
async def test_the_page_speaks_the_readers_language(
    browser: httpx2.AsyncClient, language: str, heading: str
) -> None:
    answer = await browser.get("/docs", headers={"Accept-Language": language})

    assert heading in answer.text
    assert f'<html lang="{language}">' in answer.text


async def test_the_document_served_is_the_one_described(browser: httpx2.AsyncClient) -> None:
    served = (await browser.get("/api/openapi.json")).json()

    assert served["openapi"].startswith("3.1")
    assert "/api/v1/accounts/{account_id}/transactions" in served["paths"]
    assert served["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
