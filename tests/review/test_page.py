"""The page of the cohort: its data, and that no text of a file becomes HTML or script."""

import json
import re

from glymph.review.page import chip, page_data, render

EVIL = "</script><img src=x onerror=alert(1)>\u2028"


def example(n=9, reason=EVIL):
    units = [(f"sub-{k}", None if k else "ses-a", f"sub-{k}" if k else "sub-0/ses-a")
             for k in range(n)]  # fmt: skip
    table = [{"participant_id": p, "session_id": s, "group": reason, "corrected": None,
              "dwi_snr": str(10 + k % 5), "brain_volume_mm3": None if k == 1 else "1e6"}
             for k, (p, s, _) in enumerate(units)]  # fmt: skip
    flags = [
        {
            "participant_id": "sub-1",
            "session_id": None,
            "metric": "brain_volume_mm3",
            "kind": "missing",
            "message": reason,
            "look": "the mask",
            "value": None,
            "z": None,
        }
    ]
    gone = [{"participant_id": "sub-0", "session_id": None, "branch": "all", "stage": "x",
             "reason": reason, "file": None, "cure": None}]  # fmt: skip
    return page_data(units, table, flags, gone, [], {"dwi_snr": [12, None]})


def test_values_distances_and_flags_stand_with_their_unit():
    data = example(25)
    assert [m["name"] for m in data["metrics"]] == ["brain_volume_mm3", "dwi_snr"]
    first, second = data["rows"][:2]
    assert first["values"] == [1e6, 10.0]
    assert second["values"] == [None, 11.0]
    assert data["rows"][2]["z"] == [None, 0.0], "no spread, no distance"
    assert [f["metric"] for f in second["flags"]] == ["brain_volume_mm3"]
    assert first["flags"] == []
    assert first["missing"][0]["branch"] == "all", "an entry without session is of all sessions"
    assert first["page"] == "../sub-0/ses-a/sub-0_ses-a_qc.html"
    assert data["metrics"][1]["low"] == 12, "the configuration's threshold"


def test_a_chip_says_in_two_words_what_is_wrong():
    def of(kind, value=None, z=None):
        return chip({"metric": "dwi_snr", "kind": kind, "value": value, "z": z}, limits)

    limits = {"dwi_snr": [12, 80]}
    assert of("range", "3") == {"label": "SNR of b = 0", "short": "low"}
    assert of("range", "99")["short"] == "high"
    assert of("missing")["short"] == "no value"
    assert of("outlier", "20", "4.06")["short"] == "z +4.1"
    assert of("outlier", "20", "-4.06")["short"] == "z \N{MINUS SIGN}4.1"


def test_text_of_files_is_data_and_never_markup():
    page = render(example())
    assert EVIL not in page
    assert "onerror=alert(1)>" not in page
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    assert json.loads(inside) == example()
    script = page.rpartition("<script>")[2]
    for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert danger not in script


def test_the_page_loads_nothing_from_elsewhere():
    page = render(example(reason="sound"))
    assert "http" not in page.replace("http-equiv", "")


def test_an_empty_cohort_has_a_page():
    assert "0 subject-sessions" in render(page_data([], [], [], [], [], {}))
