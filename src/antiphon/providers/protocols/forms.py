"""A form with a file, as HTTP carries one (RFC 7578)."""

import re
from collections.abc import Mapping
from secrets import token_hex

from msgspec import Struct, field

from antiphon.providers.base import File

_UNFIT = re.compile(r'[\x00-\x1f"\\\x7f]')


class MultipartForm(Struct, frozen=True):
    """Makes the bodies of one kind of form; its `boundary` is in no file by chance."""

    boundary: str = field(default_factory=lambda: token_hex(16))

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self.boundary}"

    def body(self, fields: Mapping[str, str], file: File) -> bytes:
        """The fields, and the file as one called `file`."""
        parts = [self._part(f'name="{name}"', value.encode()) for name, value in fields.items()]
        named = f'name="file"; filename="{fitting(file.name)}"\r\nContent-Type: {_UNFIT.sub("", file.media_type)}'
        return b"".join([*parts, self._part(named, file.data or b""), f"--{self.boundary}--\r\n".encode()])

    def _part(self, disposition: str, content: bytes) -> bytes:
        head = f"--{self.boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        return b"".join((head.encode(), content, b"\r\n"))


def fitting(name: str) -> str:
    """The name of a file without what would end it early."""
    return _UNFIT.sub("_", name)[-100:]
