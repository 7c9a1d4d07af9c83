"""The local server: loopback only, its own page only, the output folder only, nothing lost."""

import http.client
import json
import threading

import pytest

from glymph.common.errors import BadInput
from glymph.review.page import page_data, render
from glymph.review.ratings import read_ratings
from glymph.review.serve import LOOPBACK, PLACEHOLDER, append, make_server, usual_port

RATING = {
    "participant_id": "sub-01",
    "session_id": None,
    "item": "epvs",
    "rating": "reject",
    "rater": "A B/..",
    "comment": "tab\there",
    "time": "2026-01-01T00:00:00.000Z",
}


@pytest.fixture
def served(tmp_path):
    results = tmp_path / "out"
    (results / "report").mkdir(parents=True)
    (results / "report/qc.html").write_text(render(page_data([], [], [], [], [], {})))
    (results / "sub-01_qc.html").write_text("one")
    (results / "table.tsv").write_text("numbers")
    (tmp_path / "outside.html").write_text("secret")
    (results / "link.html").symlink_to(tmp_path / "outside.html")
    server = make_server(results, tmp_path / "review", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(method, path, body=None, host=None, **headers):
        connection = http.client.HTTPConnection(*server.server_address, timeout=10)
        headers = {"Host": host or f"127.0.0.1:{server.server_address[1]}"} | headers
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    yield ask, server, tmp_path
    server.shutdown()
    server.server_close()


def token_of(ask):
    return json.loads(ask("GET", "/ratings")[1])["token"]


def test_it_listens_on_loopback(served):
    assert served[1].server_address[0] == "127.0.0.1"


def test_the_page_can_ask_for_a_token_and_the_file_has_none(served):
    ask, _, folder = served
    assert len(token_of(ask)) > 20
    assert token_of(ask) not in ask("GET", "/report/qc.html")[1]
    assert PLACEHOLDER in (folder / "out/report/qc.html").read_text()
    assert PLACEHOLDER not in ask("GET", "/report/qc.html")[1]


def test_the_page_has_one_name(served):
    ask, server, _ = served
    assert ask("GET", "/")[0] == 302
    assert ask("GET", "/report/qc.html", host=f"localhost:{server.server_address[1]}")[0] == 302


def test_every_start_has_the_same_port_and_another_folder_another(tmp_path):
    port = usual_port(tmp_path, tmp_path / "review")
    assert port == usual_port(tmp_path / "x" / "..", tmp_path / "review")
    assert 20_000 <= port < 30_000
    assert port != usual_port(tmp_path, tmp_path / "other")


@pytest.mark.parametrize("port", ["taken", 99_999])
def test_a_port_that_cannot_be_had_is_named_with_the_way_out(served, port):
    _, server, folder = served
    port = server.server_address[1] if port == "taken" else port
    with pytest.raises(OSError, match=f"port {port} cannot be had .*http://{LOOPBACK}.*--port"):
        make_server(folder / "out", folder / "review", port)


def test_the_page_is_told_what_counts_on_disk_and_what_cannot_be_read(served):
    ask, _, folder = served
    assert json.loads(ask("GET", "/ratings")[1])["rows"] == []
    for rating in ("reject", "accept"):
        append(json.dumps(RATING | {"rating": rating}).encode(), folder / "review")
    (folder / "review/ratings_x.tsv").write_text("what\n")
    told = json.loads(ask("GET", "/ratings")[1])
    assert [row["rating"] for row in told["rows"]] == ["accept"]
    assert "ratings_x.tsv" in told["problems"][0]
    assert ask("GET", "/ratings", host="evil.example")[0] == 403


def test_pictures_and_pages_of_the_output_folder_and_nothing_else(served):
    ask = served[0]
    assert ask("GET", "/sub-01_qc.html") == (200, "one")
    for path in ("/table.tsv", "/link.html", "/../outside.html", "/%2e%2e/outside.html", "/report/",
                 "//etc/passwd", "/sub-01_qc.html/", "/nothing.html"):  # fmt: skip
        assert ask("GET", path)[0] == 404, path


def test_a_rating_is_saved_and_read_back(served):
    ask, _, folder = served
    token = token_of(ask)
    for rating in ("reject", "accept"):
        body = json.dumps(RATING | {"rating": rating})
        assert ask("POST", "/ratings", body, **{"X-Glymph-Token": token}) == (200, "saved")
    rows = read_ratings(folder / "review/ratings_AB.tsv")
    assert [row["rating"] for row in rows] == ["reject", "accept"]
    assert rows[0]["comment"] == "tab here"


def test_ratings_from_elsewhere_are_refused(served):
    ask, _, folder = served
    body, token = json.dumps(RATING), token_of(ask)
    assert ask("POST", "/ratings", body)[0] == 403, "no token"
    assert ask("POST", "/ratings", body, **{"X-Glymph-Token": "é"})[0] == 403
    assert ask("POST", "/ratings", body, "evil.example", **{"X-Glymph-Token": token})[0] == 403
    assert ask("GET", "/report/qc.html", host="evil.example")[0] == 403
    assert ask("POST", "/other", body, **{"X-Glymph-Token": token})[0] == 403
    assert ask("POST", "/ratings", "x" * 30_000, **{"X-Glymph-Token": token})[0] == 413
    assert not (folder / "review").exists()


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '{"rater": 3}', '{"rater": "A"}', "\x00", "1e999", "[" * 19_000]
)
def test_what_is_no_rating_is_refused(served, body):
    ask = served[0]
    assert ask("POST", "/ratings", body, **{"X-Glymph-Token": token_of(ask)})[0] == 400


def test_a_rater_without_letters_still_has_a_file(tmp_path):
    path = append(json.dumps(RATING | {"rater": "../"}).encode(), tmp_path)
    assert path == tmp_path / "ratings_rater.tsv"
    with pytest.raises(BadInput):
        append(json.dumps(RATING | {"rater": " "}).encode(), tmp_path)


def test_a_rater_whose_id_means_missing_spoils_no_table(tmp_path):
    with pytest.raises(ValueError, match="rater 'NA' means that nothing is known"):
        append(json.dumps(RATING | {"rater": "NA"}).encode(), tmp_path)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_that_a_person_wrote_keeps_its_columns(tmp_path, end):
    path, body = tmp_path / "ratings_AB.tsv", json.dumps(RATING | {"rater": "AB"}).encode()
    header = "rater\ttime\titem\trating\tcomment\tsession_id\tparticipant_id\tnotes"
    path.write_text(f"{header}\nAB\tn/a\tepvs\taccept\tn/a\tn/a\tsub-02\tmine{end}")
    append(body, tmp_path)
    assert [(row["participant_id"], row["rating"]) for row in read_ratings(path)] == [
        ("sub-02", "accept"), ("sub-01", "reject")]  # fmt: skip
    path.write_text(f"participant_id\titem\trating\trater\nsub-02\tepvs\taccept\tAB{end}")
    with pytest.raises(BadInput, match="no column session_id, comment, time"):
        append(body, tmp_path)


def test_a_rating_that_is_sent_twice_is_written_once(tmp_path):
    """By a second tab, or since the answer to it was lost."""
    first, second = (RATING | {"rater": "AB", "time": f"2026-01-31T12:00:00.00{k}Z"} for k in "12")
    for entry in (first, second | {"rating": "accept"}, first, second | {"rating": "accept"}):
        path = append(json.dumps(entry).encode(), tmp_path)
    assert [row["rating"] for row in read_ratings(path)] == ["reject", "accept"]
    for _ in range(2):
        path = append(json.dumps(RATING | {"rater": "CD", "time": ""}).encode(), tmp_path)
    assert len(read_ratings(path)) == 2


def test_without_a_page_it_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the workflow first"):
        make_server(tmp_path, tmp_path, 0)


@pytest.mark.parametrize("error, silent", [(BrokenPipeError(), True), (ValueError("a bug"), False)])
def test_a_browser_that_breaks_off_leaves_no_traceback(served, capsys, error, silent):
    server = served[1]
    try:
        raise error
    except Exception:
        server.handle_error(None, ("127.0.0.1", 1))
    assert (capsys.readouterr().err == "") == silent
