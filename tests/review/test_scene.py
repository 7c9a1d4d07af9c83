"""What the viewer is told of a unit: objects, places, images, commands; and who may ask."""

import gzip
import http.client
import json
import random
import shlex
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import Stop, write_stop
from glymph.common.images import save
from glymph.common.names import Unit
from glymph.common.spaces import apply_affine
from glymph.review.desk import KINDS, NIIVUE, STATIC
from glymph.review.objects import Objects
from glymph.review.pictures import Pictures
from glymph.review.scene import commands, scene
from glymph.review.serve import make_server
from tests.conftest import STORAGE, grid
from tests.review import phantom

UNIT = Unit("1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    results = tmp_path_factory.mktemp("with a space") / "out"
    phantom.make(results)
    return results


def told(results, rater=""):
    return scene(results, results.parent / "review", UNIT, rater)


@pytest.mark.parametrize("axes", [*STORAGE, "oblique LAS"])
def test_every_object_is_where_its_voxels_are(tmp_path, axes):
    affine = phantom.make(tmp_path / "out", axes=STORAGE.get(axes, phantom.OBLIQUE_LAS))
    found = Objects(tmp_path / "out", UNIT)
    rows = told(tmp_path / "out")["objects"]
    assert [row["object"] for row in rows] == [1, 2, 3, 4, 5]
    for row in rows:
        voxels = np.argwhere(found.numbers == row["object"])
        assert row["centre"] == pytest.approx(apply_affine(affine, voxels.mean(0)), abs=0.01)
        assert row["left"] == (len(voxels) if row["counted"] else 0)
        assert row["probability"] == pytest.approx(0.9, abs=1e-3)
    assert rows[1]["length"] == pytest.approx(6)
    assert rows[4]["why"] == "shorter than 2 mm"
    assert rows[4]["side"] in ("left", "right")


def test_images_are_those_that_exist(made, tmp_path):
    names = told(made)["images"]
    assert {"t1w", "t2w", "numbers", "mask", "regions", "brain", "t1w_own", "colour_fa", "alps",
            "directions", "b0"} == set(names) - {"fa"}  # fmt: skip
    phantom.make(tmp_path / "out", dwi=False)
    anat = tmp_path / "out/sub-1/anat"
    write_stop(anat / "sub-1_space-T1w_res-1mm_desc-norm_T2w.nii.gz", Stop("no T2w"))
    (anat / "sub-1_space-T1w_res-1mm_desc-EPVS_dseg.nii.gz").write_bytes(b"")
    about = told(tmp_path / "out")
    assert set(about["images"]) == {"t1w", "regions", "t1w_own", "brain"}
    assert about["objects"] == []
    assert about["corrections"]["epvs"]["not"] == "no perivascular spaces were segmented here"
    assert about["corrections"]["roi"]["not"].startswith("there is no ALPS index")


@pytest.mark.parametrize("name", ["numbers", "mask", "brain", "colour_fa", "alps", "b0"])
def test_what_is_made_for_looking_is_an_image_on_its_grid(made, name):
    image = nib.Nifti1Image.from_bytes(
        gzip.decompress(Pictures(made, made.parent / "review", UNIT).read(name))
    )
    like = {"colour_fa": "dwi/sub-1_model-tensor_param-fa_dwimap", "alps":
            "dwi/sub-1_model-tensor_param-fa_dwimap"}  # fmt: skip
    stem = like.get(name, "anat/sub-1_space-T1w_res-1mm_desc-norm_T1w")
    grid = nib.load(made / "sub-1" / f"{stem}.nii.gz")
    assert image.shape == grid.shape
    np.testing.assert_allclose(image.affine, grid.affine, atol=1e-4)
    data = np.asanyarray(image.dataobj)
    if name == "colour_fa":
        assert (data["B"] > data["R"]).all() and not data["G"].any()
    else:
        assert data.any()


@pytest.mark.parametrize("axes", [*STORAGE, "oblique LAS"])
def test_directions_are_along_the_axes_that_are_drawn(tmp_path, axes):
    """NiiVue draws along left, anterior and superior image axes, whatever the storage order."""
    phantom.make(tmp_path / "out")
    stem = tmp_path / "out/sub-1/dwi/sub-1_model-tensor_param-"
    shape, directions = (6, 7, 8), STORAGE.get(axes, phantom.OBLIQUE_LAS)
    affine = grid(directions, shape=shape)
    nearest = nib.as_closest_canonical(nib.Nifti1Image(np.zeros(shape), affine)).affine[:3, :3] / 2
    save(np.full(shape, 0.5, np.float32), affine, f"{stem}fa_dwimap.nii.gz")
    for along in np.eye(3):
        v1 = np.broadcast_to((nearest @ along).astype(np.float32), (*shape, 3))
        save(np.array(v1), affine, f"{stem}v1_dwimap.nii.gz")
        own = Pictures(tmp_path / "out", tmp_path / "review", UNIT)
        image = nib.Nifti1Image.from_bytes(gzip.decompress(own.read("directions")))
        np.testing.assert_allclose(image.affine, affine, atol=1e-4)
        np.testing.assert_allclose(image.get_fdata()[3, 3, 3], along * [-1, 1, 1], atol=1e-5)


def test_alps_regions_stand_where_the_transforms_carry_them(made):
    places = {place["region"]: place for place in told(made)["alps"]}
    assert places["left_projection"]["centre"] == pytest.approx([-26, -12, 24], abs=0.01)
    np.testing.assert_allclose(places["right_association"]["way"], np.eye(3), atol=1e-4)
    shares = nib.load(made / "sub-1/dwi/sub-1_desc-alps_probseg.nii.gz")
    for k, place in enumerate(places.values()):
        voxels = np.argwhere(np.asanyarray(shares.dataobj)[..., k] > 0)
        assert apply_affine(shares.affine, voxels.mean(0)) == pytest.approx(place["centre"], abs=1)


def test_commands_open_the_same_images_whatever_the_folder_is_called(made):
    found = commands(made, made.parent / "review", UNIT)
    assert set(found) == {"FSLeyes", "ITK-SNAP", "Freeview"}
    for line in found.values():
        words = shlex.split(line)
        paths = [word.partition(":")[0] for word in words if word.startswith("/")]
        assert len(paths) == 3
        assert all(Path(path).is_file() for path in paths)


# ---- the server --------------------------------------------------------------------------------
@pytest.fixture
def served(tmp_path):
    results = tmp_path / "out"
    phantom.make(results, dwi=False)
    server = make_server(results, tmp_path / "review", 0)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def ask(method, path, body=None, host=None, **headers):
        connection = http.client.HTTPConnection(*server.server_address, timeout=20)
        headers = {"Host": host or f"127.0.0.1:{server.server_address[1]}"} | headers
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())

    yield ask, tmp_path
    server.shutdown()
    server.server_close()


def test_the_viewer_loads_nothing_from_elsewhere_and_runs_no_text(served):
    ask, _ = served
    status, page, headers = ask("GET", "/viewer?unit=sub-1")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert b"http://" not in page and b"https://" not in page
    for path in STATIC:
        assert ask("GET", path)[0] == 200, path
        assert ask("GET", path, host="evil.example")[0] == 403


def test_niivue_is_the_file_that_was_vendored():
    import hashlib

    expected = (NIIVUE.parent / "SHA256SUMS").read_text().split()
    assert hashlib.sha256(NIIVUE.read_bytes()).hexdigest() == expected[0]
    assert "BSD 2-Clause License" in (NIIVUE.parent / "LICENSES.txt").read_text()


@pytest.mark.parametrize("path", [
    "/viewer/scene", "/viewer/scene?unit=sub-9", "/viewer/scene?unit=..%2f..%2fetc",
    "/viewer/image?unit=sub-1&name=..%2f..%2fx", "/viewer/image?unit=sub-1", "/viewer/../serve.py",
    "/viewer/viewer.html", "/viewer/x.js", "/viewer/image?unit=sub-1&name=flair",
    "/viewer/image?unit=%00&name=t1w", "/viewer/scene?unit=sub-1%0a", "/viewerx",
    "/resources/niivue/niivue.umd.js", "/sub-1/anat/sub-1_desc-preproc_T1w.nii.gz",
])  # fmt: skip
def test_what_is_not_there_is_not_found(served, path):
    ask, _ = served
    status, text, _ = ask("GET", path)
    assert status == 404
    assert b"Traceback" not in text


def test_a_correction_wants_the_token_and_its_own_address(served):
    ask, folder = served
    scene = json.loads(ask("GET", "/viewer/scene?unit=sub-1")[1])
    entry = json.dumps({"unit": "sub-1", "kind": "epvs", "rater": "AB", "based_on": "",
                        "decisions": {"2": "delete"}})  # fmt: skip
    token = {"X-Glymph-Token": scene["token"]}
    assert ask("POST", "/viewer/save", entry)[0] == 403
    assert ask("POST", "/viewer/save", entry, **{"X-Glymph-Token": "x"})[0] == 403
    assert ask("POST", "/viewer/save", entry, host="evil.example", **token)[0] == 403
    assert ask("POST", "/viewer/scene", entry, **token)[0] == 403
    assert not (folder / "review").exists()
    status, text, _ = ask("POST", "/viewer/save", entry, **token)
    assert (status, json.loads(text)["summary"]["deleted"]) == (200, [2])
    status, text, _ = ask("POST", "/viewer/save", entry.replace("AB", "CD").replace("2", "3"),
                          **token)  # fmt: skip
    assert (status, json.loads(text)["now"]["rater"]) == (409, "AB")


def test_a_body_that_is_longer_than_any_drawing_is_refused_unread(served):
    ask, _ = served
    token = json.loads(ask("GET", "/viewer/scene?unit=sub-1")[1])["token"]
    headers = {"X-Glymph-Token": token, "Content-Length": "30000000"}
    assert ask("POST", "/viewer/save", b"{}", **headers)[0] == 413
    assert ask("POST", "/viewer/save", b"{}", **headers | {"Content-Length": "-1"})[0] == 413


VALUES = [None, True, 0, -1, 1e308, "", "x", "sub-1", "../..", "epvs", "brain", "roi", [], [1], {},
          {"1": "delete"}, {"1": 2}, {"99": "delete"}, {"x": "accept"}, {"2": "destroy"}, "AAAA",
          "\u0000", "\ud800", "H4sIAAAA", {"left_projection": [1, 2]}, "é" * 50]  # fmt: skip


def malformed(rng: random.Random) -> bytes:
    """A request that no viewer sends: text that is no JSON, or fields of the wrong kind."""
    kind = rng.randrange(4)
    if kind == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
    if kind == 1:
        return b"[" * rng.randrange(1, 20_000)
    entry = {"unit": "sub-1", "kind": rng.choice(KINDS), "rater": "AB", "based_on": "",
             "decisions": {"2": "delete"}, "shifts": {"left_projection": [1, 0, 0]}}  # fmt: skip
    wrong = {"unit": [None, 1, "..", "sub-1/..", [], {}, "sub-\ud800"],
             "kind": [None, 1, "x", [], {}],
             "rater": [None, "", " ", 1, "n/a", "x" * 41, [], "A\ud800"],
             "based_on": [None, 1, []]}  # fmt: skip
    if kind == 2:
        name = rng.choice([*wrong])
        return json.dumps(entry | {name: rng.choice(wrong[name])}).encode()
    entry |= {
        name: rng.choice(VALUES) for name in rng.sample(["decisions", "shifts", "drawing"], 3)
    }
    return json.dumps(entry | {"drawing": rng.choice(["", 5, "é", "AAAA", "H4sIAAAA", [], {}])}
                      | {"kind": rng.choice(["epvs", "brain"])}).encode()  # fmt: skip


def test_malformed_requests_are_refused_and_nothing_is_written(served):
    ask, folder = served
    token = json.loads(ask("GET", "/viewer/scene?unit=sub-1")[1])["token"]
    rng = random.Random(7)
    for _ in range(250):
        body = malformed(rng)
        status, text, _ = ask("POST", "/viewer/save", body, **{"X-Glymph-Token": token})
        assert 400 <= status < 500, (status, body[:200], text)
        assert b"Traceback" not in text
    left = [p for p in (folder / "review").rglob("*") if p.is_file() and p.name != ".lock"]
    assert left == []
    assert ask("GET", "/viewer/scene?unit=sub-1")[0] == 200
