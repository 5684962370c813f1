"""The sandbox under Microsoft's own names: TLS in front of it, and two host names resolved to it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.serving import make_server

from portal.sandbox import Config, create_app
from portal.sandbox.server import QuietHandler, Server

LOGIN, GRAPH = "login.microsoftonline.com", "graph.microsoft.com"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for both names that signs itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(LOGIN), x509.DNSName(GRAPH), x509.DNSName("localhost")])
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@contextmanager
def microsoft(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A sandbox that this process reaches under Microsoft's own addresses, on port 443, over verified TLS."""
    cert, key = certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    config = Config(port=0, public_url=f"https://{LOGIN}", graph_url=f"https://{GRAPH}")
    app = create_app(config)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler, ssl_context=tls)
    port = server.socket.getsockname()[1]
    true_lookup = socket.getaddrinfo

    def lookup(host: Any, service: Any, *more: Any, **options: Any) -> Any:
        if host in {LOGIN, GRAPH}:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        return true_lookup(host, service, *more, **options)

    patch.setattr(socket, "getaddrinfo", lookup)
    patch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    patch.setenv("NO_PROXY", "*")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield Server(f"https://{LOGIN}", app.extensions["sandbox"]["storage"], app, config)
    finally:
        server.shutdown()
        server.server_close()
        app.extensions["sandbox"]["courier"].stop()
