"""GET /images/{sha256}.png: the pictures of passes at Google, which fetches them from here and keeps them."""

import asyncio
import re

from fastapi import APIRouter
from fastapi.responses import Response

from app.wallets.google.images import PATH
from app.web.dependencies import FromServices
from app.web.errors import Problem
from app.web.rendering import FOR_EVER

router = APIRouter(include_in_schema=False)

_DIGEST = re.compile(r"[0-9a-f]{64}")


@router.api_route(PATH + "/{digest}.png", methods=["GET", "HEAD"])
async def image(digest: str, services: FromServices) -> Response:
    """A picture by the hash of its bytes: what is at this address never changes."""
    images = services.google.images if services.google else None
    # In a thread, because an unknown hash has every picture drawn, once in the life of the process.
    data = await asyncio.to_thread(images.find, digest) if images and _DIGEST.fullmatch(digest) else None
    if data is None:
        raise Problem(404, "unknown_image", "There is no picture of that hash.")
    headers = {"Cache-Control": FOR_EVER, "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(data, media_type="image/png", headers=headers)
