"""Certificates for servers on loopback, made with openssl."""

from pathlib import Path
from subprocess import run


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A file with a certificate of 127.0.0.1 that signs for itself, and one with its key."""
    shown, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    run(["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", shown], check=True, capture_output=True)
    return shown, key
