"""GET /docs: the API's documentation, from assets of our own, with a request to copy on top."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.web.api.openapi import OPENAPI_URL
from app.web.dependencies import FromServices, Language
from app.web.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request, services: FromServices, language: Language) -> HTMLResponse:
    """The documentation page. It loads nothing from elsewhere and runs no inline script."""
    return page(
        request,
        services.texts,
        "docs.html",
        language=language,
        openapi_url=OPENAPI_URL,
        address=services.settings.public_url,
    )
