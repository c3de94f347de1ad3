"""/images: the pictures of passes, which Google fetches from here and keeps; and its button's artwork."""

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
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@router.get(PATH + "/google-button/{language}.svg")
async def button(language: str, services: FromServices) -> Response:
    """Google's own picture of its button, from the folder the operator put it into."""
    folder = services.settings.google_buttons_dir
    path = folder / f"{language}.svg" if folder and _LANGUAGE.fullmatch(language) else None
    if path is None or not path.is_file():
        raise Problem(404, "unknown_image", "There is no button in that language.")
    return Response(path.read_bytes(), media_type="image/svg+xml", headers={"Cache-Control": "max-age=3600"})


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
