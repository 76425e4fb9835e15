"""A loopback server that plays the site of a corpus, with faults to order."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """Files by name; ``requests`` notes what was asked for, with the byte it began at."""

    files: dict[str, bytes]
    tables: dict[str, bytes] = field(default_factory=dict)
    """Small files beside the record."""
    record: str = "6337421"
    break_after: int = 0
    """Cut every answer off after so many bytes, ``breaks`` times."""
    breaks: int = 0
    resumes: bool = True
    flip: dict[str, int] = field(default_factory=dict)
    """How many answers of a file arrive with one byte turned over."""
    wrong_sums: bool = False
    requests: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""

    def listing(self) -> bytes:
        rows = [
            {
                "key": name,
                "size": len(data),
                "checksum": "md5:"
                + ("0" * 32 if self.wrong_sums else hashlib.md5(data).hexdigest()),
                "links": {"self": f"{self.address}/files/{name}/content"},
            }
            for name, data in self.files.items()
        ]
        return json.dumps({"files": rows}).encode()

    def answer(self, name: str, first: int) -> bytes:
        data = self.files[name]
        if self.flip.get(name, 0) > 0:
            self.flip[name] -= 1
            data = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        return data[first:]


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == f"/{site.record}":
                self._send(200, site.listing())
                return
            if self.path[1:] in site.tables:
                self._send(200, site.tables[self.path[1:]])
                return
            name = self.path.split("/")[2] if self.path.startswith("/files/") else self.path[1:]
            if name not in site.files:
                self.send_error(404)
                return
            asked = self.headers.get("Range")
            first = int(asked.split("=")[1].rstrip("-")) if asked and site.resumes else 0
            site.requests.append((name, first))
            data = site.answer(name, first)
            whole = len(site.files[name])
            extra = {"Content-Range": f"bytes {first}-{whole - 1}/{whole}"} if first else {}
            cut = None
            if site.breaks > 0 and 0 < site.break_after < len(data):
                site.breaks -= 1
                cut = site.break_after
            self._send(206 if first else 200, data, extra, cut)

        def _send(self, code: int, data: bytes, extra=None, cut: int | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            for key, value in (extra or {}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data[:cut])
            if cut is not None:
                self.wfile.flush()
                self.connection.close()

        def log_message(self, *args) -> None:
            """Keep quiet."""

    return Handler


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def zipped(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()
