"""A small local server for the page of the cohort, which writes ratings as they are given.

It listens on loopback only, serves nothing outside the output folder, and takes ratings only from
the page that it served itself: other sites that the browser shows know neither its token nor its
name. What it tells the page is what the tables on disk hold. What the viewer asks and sends is
answered by `desk`.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

from glymph.common.errors import BadInput
from glymph.common.provenance import content_hash
from glymph.review import store
from glymph.review.definitions import columns
from glymph.review.desk import LONGEST_REQUEST, POLICY, STATIC, Desk
from glymph.review.ratings import checked_rating, latest, rating_files, read_ratings
from glymph.review.table import tidy

LOOPBACK = "127.0.0.1"
PAGE = "report/qc.html"
LONGEST = {"/ratings": 20_000, "/viewer/save": LONGEST_REQUEST}
"""Bytes of what each address takes."""
SERVED = (".html", ".jpg", ".png", ".svg")
PLACEHOLDER = '<meta name="glymph-save" content="">'


def identity(results: Path, folder: Path) -> str:
    """What tells the ratings of these folders from those of others, also after a new start."""
    return content_hash([str(results.resolve()), str(folder.resolve())])


def usual_port(results: Path, folder: Path) -> int:
    """The same at every start: a browser keeps what is not saved yet by address and port.

    Below the ports that systems lend to outgoing connections.
    """
    return 20_000 + int(identity(results, folder), 16) % 10_000


def make_server(results: Path, folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the output folder ``results`` that saves ratings into ``folder``.

    ``port`` 0 takes a free one. Raises FileNotFoundError where there is no page yet, and OSError
    where the port cannot be had.
    """
    results = results.resolve()
    if not (results / PAGE).is_file():
        raise FileNotFoundError(f"{results / PAGE} is not there yet; run the workflow first")
    token, lock = secrets.token_urlsafe(24), threading.Lock()
    dataset, desk = identity(results, folder), Desk(results, folder)

    class Handler(SimpleHTTPRequestHandler):
        timeout = 60  # seconds: who sends half of a request holds no thread for ever

        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(results), **kwargs)

        def do_GET(self):
            if not self._is_ours():
                return
            path = self.path.partition("?")[0]
            if path == "/" or (path == f"/{PAGE}" and self.headers["Host"] != self._name()):
                self._redirect()
            elif path == f"/{PAGE}":
                text = (results / PAGE).read_text(encoding="utf-8")
                filled = PLACEHOLDER.replace('""', f'"{dataset}"')
                self._answer(HTTPStatus.OK, text.replace(PLACEHOLDER, filled, 1), "text/html")
            elif path == "/ratings":
                with lock:
                    known = on_disk(folder)
                told = json.dumps(known | {"dataset": dataset, "token": token})
                self._answer(HTTPStatus.OK, told, "application/json")
            elif path in STATIC or path in ("/viewer/scene", "/viewer/image"):
                self._viewer(path)
            else:
                super().do_GET()

        def _viewer(self, path: str) -> None:
            """The viewer's own files, and what it asks about a unit."""
            if path in STATIC:
                file, kind = STATIC[path]
                self._answer(HTTPStatus.OK, file.read_bytes(), kind)
                return
            query = dict(parse_qsl(self.path.partition("?")[2]))
            try:
                if path == "/viewer/scene":
                    with lock:
                        told = desk.scene(query) | {"dataset": dataset, "token": token}
                    content, kind = json.dumps(told), "application/json"
                else:
                    content, kind = desk.image(query), "application/octet-stream"
            except (BadInput, OSError) as error:
                self._answer(HTTPStatus.NOT_FOUND, str(error))
            else:
                self._answer(HTTPStatus.OK, content, kind)

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
            longest = LONGEST.get(self.path, 0)
            if not longest or not secrets.compare_digest(
                self.headers.get("X-Glymph-Token", "").encode(), token.encode()
            ):
                self._answer(HTTPStatus.FORBIDDEN, "the local server was started anew")
            elif not length.isdecimal() or int(length) > longest:
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "this is too long")
            else:
                self._save(self.rfile.read(int(length)))

        def _save(self, body: bytes) -> None:
            try:
                with lock:
                    if self.path == "/ratings":
                        append(body, folder)
                        told = "saved"
                    else:
                        told = json.dumps(desk.save(body))
            except store.Taken as error:
                told = {"message": str(error), "now": error.now}
                self._answer(HTTPStatus.CONFLICT, json.dumps(told), "application/json")
            except (ValueError, BadInput) as error:
                self._answer(HTTPStatus.BAD_REQUEST, str(error))
            except OSError as error:
                self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"cannot write: {error}")
            else:
                self._answer(HTTPStatus.OK, told)

        def _is_ours(self) -> bool:
            """Refuses requests under another name: a site that lets its name point to loopback."""
            if self.headers.get("Host") in (self._name(), self._name("localhost")):
                return True
            self._answer(HTTPStatus.FORBIDDEN, "open the address that the server printed")
            return False

        def _name(self, host: str = LOOPBACK) -> str:
            return f"{host}:{self.server.server_address[1]}"

        def _redirect(self) -> None:
            """To the page under one name: what a browser keeps, it keeps by name."""
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", f"http://{self._name()}/{PAGE}")
            self.end_headers()

        def _answer(self, status: HTTPStatus, text: str | bytes, kind="text/plain") -> None:
            body = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            if kind == "text/html" and self.path.startswith("/viewer"):
                self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            pass  # every thumbnail would be a line

    try:
        return _Server((LOOPBACK, port), Handler)
    except (OSError, OverflowError) as error:
        raise OSError(
            f"port {port} cannot be had ({getattr(error, 'strerror', None) or error}). If this "
            f"folder is being served already, open http://{LOOPBACK}:{port}/; otherwise end the "
            "program that holds the port, or choose another with --port"
        ) from None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A browser that turns to another page breaks off: no news, and no traceback."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def on_disk(folder: Path) -> dict:
    """The ``rows`` that count of all tables in ``folder``, and what was wrong with the others."""
    rows, problems = [], []
    for path in rating_files(folder):
        try:
            rows += read_ratings(path)
        except (BadInput, OSError) as error:
            problems.append(str(error))
    return {"rows": latest(rows), "problems": problems}


def append(body: bytes, folder: Path) -> Path:
    """Add one rating (JSON with the columns of ratings.tsv) to its rater's file in ``folder``.

    Returns the file. Nothing is ever overwritten: of several ratings of one thing the latest
    counts. One that is there already, with the same time, was sent twice (by a second tab, or since
    the answer to it was lost) and is not written again. Raises ValueError for what is no JSON
    object, `BadInput` for what is no rating, or for a file that has no place for all of it.
    """
    try:
        entry = json.loads(body)
    except RecursionError:
        raise ValueError("too deep for a rating") from None
    if not isinstance(entry, dict) or not all(
        value is None or isinstance(value, str) for value in entry.values()
    ):
        raise ValueError("a rating is an object of texts")
    rater = entry.get("rater") or ""
    if rater.strip() and not tidy(rater):
        raise ValueError(f"rater '{rater}' means that nothing is known; choose another id")
    row = checked_rating({k: tidy(entry.get(k) or "") for k in columns("ratings")}, "rating", 1)
    path = store.rater_file(folder, "ratings", row["rater"])
    store.append_rows(path, columns("ratings"), [row], once=bool(row["time"]))
    return path
