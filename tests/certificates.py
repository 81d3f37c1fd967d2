"""Certificates for tests, made with openssl."""

from pathlib import Path
from subprocess import run

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Authority:
    """Signs certificates; who trusts the file `shown` trusts them all. Its files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.shown, self._key = folder / "authority.pem", folder / "authority-key.pem"
        signer = ("-x509", "-addext", "keyUsage=critical,keyCertSign")
        _openssl("req", *signer, *_CURVE, "-noenc", "-subj", "/CN=authority", "-keyout", self._key, "-out", self.shown)

    def sign(self, name: str, password: str = "") -> tuple[Path, Path]:
        """A file with a certificate of who answers at `name` (an IP address or a host), and one with its key."""
        shown, key = self._folder / f"{name}.pem", self._folder / f"{name}-key.pem"
        kind = "IP" if name[0].isdigit() else "DNS"
        locked = ("-passout", f"pass:{password}") if password else ("-noenc",)
        signed = ("-x509", "-CA", self.shown, "-CAkey", self._key, "-addext", f"subjectAltName={kind}:{name}")
        _openssl("req", *signed, *_CURVE, *locked, "-subj", f"/CN={name}", "-keyout", key, "-out", shown)
        return shown, key


def _openssl(*words: str | Path) -> None:
    run(["openssl", *words], check=True, capture_output=True)
