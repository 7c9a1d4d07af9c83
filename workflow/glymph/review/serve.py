"""A small local server for the page of the cohort, which writes ratings as they are given.

It listens on loopback only, serves nothing outside the output folder, and takes ratings only from
the page that it served itself: other sites that the browser shows know neither its token nor its
name.
"""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import threading
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from glymph.common.errors import BadInput
from glymph.review.definitions import columns
from glymph.review.ratings import checked_rating

LOOPBACK = "127.0.0.1"
PAGE = "report/qc.html"
LONGEST_REQUEST = 20_000
SERVED = (".html", ".jpg", ".png", ".svg")
PLACEHOLDER = '<meta name="glymph-save" content="">'


def make_server(results: Path, folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the output folder ``results`` that saves ratings into ``folder``.

    ``port`` 0 takes a free one. Raises FileNotFoundError where there is no page yet.
    """
    results = results.resolve()
    if not (results / PAGE).is_file():
        raise FileNotFoundError(f"{results / PAGE} is not there yet; run the workflow first")
    token, lock = secrets.token_urlsafe(24), threading.Lock()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(results), **kwargs)

        def do_GET(self):
            if not self._is_ours():
                return
            if self.path == "/":
                self.send_response(HTTPStatus.FOUND)
                self.send_header("Location", f"/{PAGE}")
                self.end_headers()
            elif self.path.partition("?")[0] == f"/{PAGE}":
                text = (results / PAGE).read_text(encoding="utf-8")
                filled = PLACEHOLDER.replace('""', f'"{token}"')
                self._answer(HTTPStatus.OK, text.replace(PLACEHOLDER, filled, 1), "text/html")
            else:
                super().do_GET()

        def do_HEAD(self):
            if self._is_ours():
                super().do_HEAD()

        def send_head(self):
            """As the library does, for pictures and pages inside the output folder only."""
            place = Path(self.translate_path(self.path)).resolve()
            if place.suffix not in SERVED or results not in place.parents:
                self.send_error(HTTPStatus.NOT_FOUND)
                return None
            return super().send_head()

        def do_POST(self):
            if not self._is_ours():
                return
            length = self.headers.get("Content-Length", "")
            if self.path != "/ratings" or not secrets.compare_digest(
                self.headers.get("X-Glymph-Token", "").encode(), token.encode()
            ):
                self._answer(HTTPStatus.FORBIDDEN, "reload the page: it is from an earlier start")
            elif not length.isdecimal() or int(length) > LONGEST_REQUEST:
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the rating is too long")
            else:
                self._save(self.rfile.read(int(length)))

        def _save(self, body: bytes) -> None:
            try:
                with lock:
                    append(body, folder)
            except (ValueError, BadInput) as error:
                self._answer(HTTPStatus.BAD_REQUEST, str(error))
            except OSError as error:
                self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"cannot write: {error}")
            else:
                self._answer(HTTPStatus.OK, "saved")

        def _is_ours(self) -> bool:
            """Refuses requests under another name: a site that lets its name point to loopback."""
            port = self.server.server_address[1]
            if self.headers.get("Host") in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
                return True
            self._answer(HTTPStatus.FORBIDDEN, "open the address that the server printed")
            return False

        def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
            body = text.encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            pass  # every thumbnail would be a line

    return ThreadingHTTPServer((LOOPBACK, port), Handler)


def append(body: bytes, folder: Path) -> Path:
    """Add one rating (JSON with the columns of ratings.tsv) to its rater's file in ``folder``.

    Returns the file. Nothing is ever overwritten: of several ratings of one thing the latest
    counts. Raises ValueError for what is no JSON object, `BadInput` for what is no rating.
    """
    try:
        entry = json.loads(body)
    except RecursionError:
        raise ValueError("too deep for a rating") from None
    if not isinstance(entry, dict) or not all(
        value is None or isinstance(value, str) for value in entry.values()
    ):
        raise ValueError("a rating is an object of texts")
    words = {k: " ".join((entry.get(k) or "").split()) for k in columns("ratings")}
    row = checked_rating(words, "this rating", 1)
    path = folder / f"ratings_{re.sub(r'[^A-Za-z0-9_-]', '', row['rater']) or 'rater'}.tsv"
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    if not path.is_file() or path.stat().st_size == 0:
        writer.writerow(row)
    writer.writerow([value or "n/a" for value in row.values()])
    with path.open("a", newline="", encoding="utf-8") as stream:
        stream.write(text.getvalue())
    return path
