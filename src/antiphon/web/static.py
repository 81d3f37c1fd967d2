"""The web page: built files, read once, served from memory with what a browser needs to cache and to distrust."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

STATIC = Path(__file__).parent / "static"

COMPRESS_FROM = 1024
"""Bytes below which gzip gains nothing."""

SECURITY_HEADERS: Mapping[str, str] = {
    # Nothing from elsewhere, no inline code: what a model writes cannot load or run anything.
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}

NOT_BUILT = (
    b"<!doctype html><title>Antiphon</title><h1>The page is not built</h1>"
    b"<p>Run <code>make run</code> in the checkout, or install the wheel. The API and the sockets work without it.</p>"
)


class Asset(Struct, frozen=True):
    """One file, ready to send: plain and, where it is worth it, compressed."""

    body: bytes
    compressed: bytes | None
    headers: tuple[tuple[bytes, bytes], ...]
    etag: str


class StaticPage:
    """The page's files by path. Paths below `/c/` are deep links into the page and get its first file."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._assets = {
            "/" + path.relative_to(folder).as_posix(): _load(path, immutable="assets" in path.parts)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }
        self._index = self._assets.get("/index.html") or _asset(NOT_BUILT, "text/html; charset=utf-8", immutable=False)

    def find(self, path: str) -> Asset | None:
        if path == "/" or path.startswith("/c/"):
            return self._index
        return self._assets.get(path)


def _load(path: Path, *, immutable: bool) -> Asset:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind.endswith(("javascript", "json", "xml", "svg+xml"))
    return _asset(path.read_bytes(), f"{kind}; charset=utf-8" if text else kind, immutable=immutable)


def _asset(body: bytes, kind: str, *, immutable: bool) -> Asset:
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {
        "content-type": kind,
        "etag": etag,
        # Vite names assets by their content, so they never change; the rest is asked for every time.
        "cache-control": "public, max-age=31536000, immutable" if immutable else "no-cache",
        "vary": "accept-encoding",
        **SECURITY_HEADERS,
    }
    squeezed = gzip.compress(body, 9, mtime=0) if len(body) >= COMPRESS_FROM and "charset" in kind else None
    return Asset(body, squeezed, tuple((name.encode(), value.encode()) for name, value in headers.items()), etag)
