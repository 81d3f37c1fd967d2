"""`/api/v1/files`: what people attach, taken in and given back to whoever may have it."""

import asyncio
import re
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from antiphon.conversation.live import show_attachment
from antiphon.domain import Attachment, Person, Upload
from antiphon.errors import NotFoundError, ResourceError, ValidationError
from antiphon.files.keeper import FILE_URL, FileKeeper
from antiphon.files.kinds import SHOWN, UNKNOWN, is_text
from antiphon.web.api.shapes import AttachmentShape, IdInPath
from antiphon.web.auth import CurrentPerson
from antiphon.web.openapi import failures

FILES = FILE_URL.rstrip("/")
AT_ONCE = 4
"""Files that are taken in side by side: what comes meanwhile waits unread, so that many large ones fill no memory."""

PATIENCE = 120.0
"""Seconds that one file may take to come, so that nobody keeps others waiting for ever."""
Unlisted = Annotated[str, Header(include_in_schema=False)]
Part = Annotated[str, Header(alias="range", include_in_schema=False)]

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_HARMLESS = ("audio/", "video/", "image/", "application/pdf", "application/zip", "application/vnd.")
"""Types, besides text, that no browser runs and that tell a program what it has."""

_BINARY = {"type": "string", "format": "binary"}
_ANY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself, as it is, of any media type.",
        "content": {UNKNOWN: {"schema": {**_BINARY, "minLength": 1}}},
    }
}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Its bytes.", "content": {"*/*": {"schema": _BINARY}}},
    206: {"description": "The one part that `Range` asks for.", "content": {"*/*": {"schema": _BINARY}}},
    304: {"description": "It is as the `If-None-Match` says."},
}


def file_routes(keeper: FileKeeper, current: CurrentPerson) -> APIRouter:
    """Sending a file, and having it."""
    routes = APIRouter(prefix="/files", tags=["files"], responses=failures(403, 422, 503))
    places = asyncio.Semaphore(AT_ONCE)
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    @routes.post(
        "", status_code=201, response_model=AttachmentShape, responses=failures(408, 413, 415), openapi_extra=_ANY
    )
    async def send_file(
        me: Me,
        request: Request,
        name: Annotated[str, Query(max_length=1_000, description="What it is called; a path is cut off.")] = "",
    ) -> dict[str, Any] | Response:
        """Keeps the body as a file of yours, which a message then names. The same bytes again are the same file."""
        async with places:
            try:
                async with asyncio.timeout(PATIENCE):
                    data = await request.body()
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it, and half a file is none
            except TimeoutError:
                raise HTTPException(
                    408, f"The file did not come within {PATIENCE:.0f} seconds. Send it again."
                ) from None
            upload = Upload(name=name, media_type=request.headers.get("content-type", ""), data=data)
            return show_attachment(await _kept(keeper, me, upload))

    @routes.get("/{file_id}", response_class=Response, responses={**_BYTES, **failures(404, 416)})
    async def get_file(
        me: Me, file_id: IdInPath, if_none_match: Unlisted = "", asked: Part = "", if_range: Unlisted = ""
    ) -> Response:
        """Its bytes, for whoever gave it and the people of the conversations that name it. With `Range` one part of
        them, as players ask for that seek in sound and film."""
        kept = await keeper.get(me.id, file_id)
        etag = f'"{kept.digest}"'
        headers = {
            "etag": etag,
            "accept-ranges": "bytes",
            "cache-control": "private, max-age=31536000, immutable",
            "content-disposition": _disposition(kept.name, shown=kept.media_type in SHOWN),
            # Whatever it is, in a tab of its own it can do nothing and load nothing.
            "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
            "x-content-type-options": "nosniff",
        }
        if etag in if_none_match:
            return Response(status_code=304, headers=headers)
        part = _part(asked, kept.size) if if_range in ("", etag) else None
        data = await keeper.store.read(file_id)
        if data is None:
            raise NotFoundError("This file does not exist any more.")
        kind = _plain(kept.media_type)
        if part is None:
            return Response(data, media_type=kind, headers=headers)
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{kept.size}"
        return Response(data[part.start : part.stop], 206, media_type=kind, headers=headers)

    return routes


async def _kept(keeper: FileKeeper, owner: Person, upload: Upload) -> Attachment:
    if not upload.data:
        raise ValidationError("The body is empty. Send the file itself as the body, and its name as `?name=`.")
    try:
        return await keeper.keep(owner.id, upload)
    except ResourceError as error:
        raise HTTPException(413, error.public) from error
    except ValidationError as error:
        raise HTTPException(415, error.public) from error


def _part(asked: str, size: int) -> range | None:
    """The one part that a `Range` asks for; None for all of it, as for several parts and what nobody understands
    (https://www.rfc-editor.org/rfc/rfc9110#section-14.2)."""
    found = _RANGE.fullmatch(asked.strip().lower())
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return None
    if not first:
        part = range(max(size - int(last), 0), size)
    elif last and int(last) < int(first):
        return None
    else:
        part = range(int(first), min(int(last or size) + 1, size))
    if not part:
        raise HTTPException(416, f"This file has {size:,} bytes.", headers={"content-range": f"bytes */{size}"})
    return part


def _disposition(name: str, *, shown: bool) -> str:
    """https://www.rfc-editor.org/rfc/rfc6266: a name for everybody, and the whole of it for who reads UTF-8."""
    plain = "".join(sign if sign.isascii() and sign.isprintable() and sign not in '"\\%' else "_" for sign in name)
    return f"{'inline' if shown else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _plain(media_type: str) -> str:
    """Nothing that a browser would run: documents with scripts, scripts and styles are given as text, and what claims
    to be one in other words as bytes."""
    if is_text(media_type):
        return "text/plain"
    return media_type if media_type in SHOWN or media_type.startswith(_HARMLESS) else UNKNOWN
