"""The web page: built files, read once, served from memory with what a browser needs to cache and to distrust."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

STATIC = Path(__file__).parent / "static"

COMPRESS_FROM = 1024
"""Bytes below which gzip gains nothing."""

_SAME_ORIGIN = (
    "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
PAGE_POLICY = f"{_SAME_ORIGIN}; style-src 'self'; require-trusted-types-for 'script'"
"""Nothing from elsewhere, no inline code: what a model writes cannot load or run anything."""

DOCS_POLICY = f"{_SAME_ORIGIN}; style-src 'self' 'unsafe-inline'"
"""Swagger UI sets styles of its own and knows no trusted types; it shows our schema and nothing a model wrote."""

NOT_BUILT = (
    b"<!doctype html><title>Antiphon</title><h1>The page is not built</h1>"
    b"<p>Run <code>make run</code> in the checkout, or install the wheel. The API and the sockets work without it.</p>"
)


@dataclass(frozen=True)
class Asset:
    """One file, ready to send."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: str
    is_text: bool

    @cached_property
    def compressed(self) -> bytes | None:
        """Its gzip form, made when it is first asked for; None where that gains nothing."""
        return gzip.compress(self.body, 6, mtime=0) if self.is_text and len(self.body) >= COMPRESS_FROM else None


class StaticPage:
    """The page's files by path. Paths below `/c/` are deep links into the page and get its first file; `/docs` is a
    page of its own."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._assets = {
            "/" + path.relative_to(folder).as_posix(): _load(path, path.relative_to(folder).parts[0])
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".") and _inside(path, folder)
        }
        self._index = self._assets.get("/index.html") or _asset(NOT_BUILT, "text/html", PAGE_POLICY, "no-cache")
        self._docs = self._assets.get("/docs/index.html", self._index)

    def find(self, path: str) -> Asset | None:
        if path == "/" or path.startswith("/c/"):
            return self._index
        return self._docs if path == "/docs" else self._assets.get(path)


def _inside(path: Path, folder: Path) -> bool:
    """Whether a path leads to a file of the folder: a link to elsewhere would publish what is no page of ours."""
    return path.resolve().is_relative_to(folder.resolve())


def _load(path: Path, folder: str) -> Asset:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # Vite names assets by their content, so they never change; the rest is asked for every time.
    keep = "public, max-age=31536000, immutable" if folder == "assets" else "no-cache"
    return _asset(path.read_bytes(), kind, DOCS_POLICY if folder == "docs" else PAGE_POLICY, keep)


def _asset(body: bytes, kind: str, policy: str, keep: str) -> Asset:
    is_text = kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {
        "content-type": f"{kind}; charset=utf-8" if is_text else kind,
        "etag": etag,
        "cache-control": keep,
        "vary": "accept-encoding",
        "content-security-policy": policy,
    }
    return Asset(body, tuple((name.encode(), value.encode()) for name, value in headers.items()), etag, is_text)
