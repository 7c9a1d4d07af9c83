"""A lab's own program: its command line, what it may write, and whose fault it is when it fails."""

import os
import shlex
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import BadInput, Fault
from glymph.epvs import command, command_line
from glymph.epvs.command_line import Command
from glymph.epvs.maps import LESIONS

SHAPE = (20, 24, 22)
AFFINE = np.diag([1.0, 1, 1, 1])
AFFINE[:3, 3] = (-9, -12, -8)
WRITE = """
import sys
import nibabel as nib, numpy as np
given, output, what = sys.argv[1:4]
image = nib.load(given)
data = np.asanyarray(image.dataobj)
found = eval(what)
if not isinstance(found, nib.Nifti1Image):
    found = nib.Nifti1Image(found, image.affine)
nib.save(found, output)
"""


def image(folder, name, data, affine=AFFINE):
    path = folder / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), path)
    return str(path)


@pytest.fixture
def subject(tmp_path):
    """(images of a subject with one tube in its T2w, region labels), in an odd folder."""
    folder = tmp_path / "it's a $(touch hacked) `touch hacked`; touch hacked #"
    folder.mkdir()
    t2w = np.full(SHAPE, -0.4, np.float32)
    t2w[10, 12, 6:14] = 0.8
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:-2, 2:-2, 2:-2] = 1
    images = {
        "t1w": image(folder, "t1w", -t2w),
        "t1w_native": image(folder, "t1w_native", -t2w),
        "t2w": image(folder, "t2w", t2w),
        "mask": image(folder, "mask", (labels > 0).astype(np.uint8)),
        "labels": image(folder, "labels", labels),
    }
    return images, nib.load(images["labels"])


@pytest.fixture
def engine(tmp_path):
    """Command line of a program that writes what an expression of ``data`` gives."""
    path = tmp_path / "engine.py"
    path.write_text(WRITE)
    start = f"{shlex.quote(sys.executable)} {shlex.quote(str(path))}"
    return lambda what: f"{start} {{t2w}} {{output}} {shlex.quote(what)}"


def run(template, subject, threshold=0.5):
    program = Command("epvs.command", template, threshold)
    command_line.check(program)
    return command.segment(program, *subject, 1, "the.log")


# ---- the line


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "needs a command line in epvs.command"),
        ("  ", "needs a command line in epvs.command"),
        ("cp {t1} {out}", r"unknown \{out\}, \{t1\} To do: known are \{t1w\}"),
        ("cp {t2w} x.nii.gz", r"\{output\} is missing"),
        ("cp {t1w?} {output}", r"\{t1w\?\} is never missing To do: write \{t1w\}"),
        ("cp '{t2w}' {output}", r"\{t2w\} stands within quotes"),
        ('cp "x{t2w}" {output}', r"\{t2w\} stands within quotes"),
        ("cp `echo {t2w}` {output}", r"\{t2w\} stands within quotes"),
        ("cat <<end\n{t2w}\nend\ncp a {output}", "here-document"),
        (r"cp 'a\'b'{t2w} {output}", r"\{t2w\} stands within quotes"),
        ("cp {t2w} {output} && (", "bash cannot read it"),
        ("no_such_program {t2w} {output}", "'no_such_program' is neither on PATH nor a file"),
        ("cp {t2w} x && ./absent.sh {output}", "'./absent.sh' is neither on PATH nor a file"),
        ("A=1 B=2 no_such_program {t2w} {output}", "'no_such_program'"),
        ("true\nno_such_program {t2w} {output}", "'no_such_program'"),
        ("sh plain.sh {output}; ./plain.sh {output}", "'./plain.sh' is not executable To do: make"),
    ],
)
def test_a_line_that_cannot_run_is_refused_with_one_message(
    tmp_path, monkeypatch, template, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.sh").write_text("exit 0\n")
    with pytest.raises(BadInput, match=message) as caught:
        command_line.check(Command("epvs.command", template, 0.5))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "cp {t2w} {output}",
        "# it's a copy\ncp {t2w} \\\n  {output}",
        "X=${HOME:-a} env B='a b' cp {t2w} {output} 2>&1 | cat",
        "if [ -n {t2w?} ]; then cp {t2w?} {output}; else cp {t1w} {output}; fi",
        "cd {folder} && cp {t2w} {output}  # what isn't there",
        "awk '{print $1}' <<< x && awk '{{print}}' /dev/null && cp {t2w} {output}",
        "$MY_PROGRAM {t2w} --out={output}",
        r"echo it\'s && cp {t2w} {output}",
    ],
)
def test_what_the_shell_can_do_is_let_through(template):
    command_line.check(Command("epvs.command", template, 0.5))


@pytest.mark.parametrize(
    ("template", "scans", "lacks"),
    [
        ("p {flair} {t2w?} {output}", ["T1w", "T2w"], ["FLAIR"]),
        ("p {flair?} {t1w} {output}", ["T1w"], []),
        ("p {flair_native} {t2w} {output}", [], ["FLAIR", "T2w"]),
        ("p {{flair}} ${flair} {output}", [], []),
    ],
)
def test_scans_that_a_line_cannot_do_without(template, scans, lacks):
    assert command_line.lacking(template, scans) == lacks


def test_which_programs_a_configuration_runs():
    epvs = {
        "engine": "command", "command": "a {output}", "threshold": 0.3,
        "lesion_command": "b {output}", "lesion_threshold": 0.6,
    }  # fmt: skip
    config = {"metrics_table": None, "epvs": epvs}
    both = command_line.in_use(config)
    assert list(both) == ["epvs.command", "epvs.lesion_command"]
    assert both["epvs.lesion_command"] == Command("epvs.lesion_command", "b {output}", 0.6)
    other = config | {"epvs": epvs | {"engine": "vbnet"}}
    assert list(command_line.in_use(other)) == ["epvs.lesion_command"]
    assert not command_line.in_use(config | {"epvs": epvs | {"engine": "none"}})
    assert not command_line.in_use(config | {"metrics_table": "mine.tsv"})


def test_a_message_names_the_key_of_the_line():
    with pytest.raises(BadInput, match="^epvs.lesion_command: its command line is empty"):
        command_line.check(Command("epvs.lesion_command", " ", 0.5))
    with pytest.raises(BadInput, match=r"^epvs.lesion_command \(cp .* \{output\} is missing"):
        command_line.check(Command("epvs.lesion_command", "cp {t2w} x", 0.5))


def test_paths_are_one_word_each_whatever_their_names():
    odd = '/a b/it\'s $(touch x); `touch x` "{t1w}" *.nii'
    line = command_line.fill(
        "p {t2w} --o={output} {flair?} {{t1w}} ${HOME}", {"t2w": odd, "output": odd}
    )
    asked = ["bash", "-c", f'p() {{ printf "%s\\n" "$@"; }}; {line}']
    words = subprocess.run(asked, capture_output=True, text=True, env={"HOME": "h"}).stdout
    assert words.splitlines() == [odd, f"--o={odd}", "", "{t1w}", "h"]


def test_files_that_the_line_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("engine.sh", "weights.pt", "none.sif"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    found = command_line.files("sh engine.sh {t2w} --weights=weights.pt folder {output} | cat")
    names = [os.path.basename(path) for path in found]
    assert names == ["sh", "cat", "engine.sh", "weights.pt"]


# ---- what it writes


@pytest.mark.parametrize(
    ("what", "kind", "voxels"),
    [
        ("(data > 0).astype('uint8')", "mask", 8),
        ("(data > 0).astype('float32')", "mask", 8),
        ("255 * (data > 0).astype('uint8')", "mask", 8),
        ("np.where(data > 0, 0.7, 0.2).astype('float32')", "probability cut at 0.5", 8),
        ("np.where(data > 0, 0.4, 0.2).astype('float32')", "probability cut at 0.5", 0),
        ("0 * data", "mask", 0),
    ],
)
def test_masks_and_probabilities_are_read_as_what_they_are(subject, engine, what, kind, voxels):
    found, about = run(engine(what), subject)
    assert found.dtype == np.float32 and found.shape == SHAPE
    assert (found > 0.5).sum() == voxels
    assert about["result"] == kind
    assert about["program"] == os.path.abspath(sys.executable)
    assert "{" not in about["line"].split("np.where")[0] and "result.nii.gz" in about["line"]
    assert not any(name == "hacked" for _, _, names in os.walk(".") for name in names)


def test_the_threshold_cuts_a_probability(subject, engine):
    what = "np.where(data > 0, 0.4, 0.2).astype('float32')"
    found, about = run(engine(what), subject, threshold=0.3)
    assert (found > 0.5).sum() == 8 and about["result"] == "probability cut at 0.3"


def test_a_result_on_another_grid_is_found_where_it_lies(subject, engine):
    """Twice as fine, flipped, turned about and with a trailing axis: the tube stays in place."""
    what = (
        "nib.Nifti1Image(np.kron((data > 0).astype('uint8'), np.ones((2, 2, 2), 'uint8'))"
        "[::-1].transpose(2, 0, 1)[..., None], image.affine @ np.array("
        "[[0, -.5, 0, data.shape[0] - .75], [0, 0, .5, -.25], [.5, 0, 0, -.25], [0, 0, 0, 1]]))"
    )
    found, _ = run(engine(what), subject)
    expected = nib.load(subject[0]["t2w"]).get_fdata() > 0
    np.testing.assert_array_equal(found > 0.5, expected)


# ---- whose fault it is


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("sys.exit(3)", "ended with 3"),
        ("1 / 0", "ended with 1"),
        ("sys.exit(0)", r"but wrote nothing to \{output\}"),
        ("(open(output, 'wb').write(b'no image'), sys.exit(0))", "not readable"),
        ("np.where(data > 0, np.nan, 0)", "8 of its values are not a number"),
        ("50 * data + 30.3", "neither a mask .* nor a probability"),
        ("data", "neither a mask .* nor a probability"),
        ("np.stack([data, data], -1)", "3 axes are needed"),
        ("nib.Nifti1Image((data > 0) * 1., np.diag([1., 1, 1, 1]))", "shows .* of the regions"),
        ("(data < 0).astype('uint8')", "marks .*% of the regions"),
        ("np.clip(255 * (data + .5), 0, 255).astype('uint8')", "marks 100% of the regions"),
        ("__import__('os').abort()", "ended with 134|signal 6"),
    ],
)
def test_a_program_that_fails_is_no_fault_of_the_subject(subject, engine, what, message):
    with pytest.raises(Fault, match=message) as caught:
        run(engine(what), subject)
    said = str(caught.value)
    assert said.startswith("the.log: the command of epvs.command (") and "To do: " in said
    assert "\n" not in said and len(said) < 800


def test_lesions_may_fill_more_of_the_regions_than_spaces(subject, engine):
    what = "(np.arange(data.shape[2]) < 15) * np.ones(data.shape, 'uint8')"  # 13 of 18 slices
    with pytest.raises(Fault, match="marks 72% of the regions, which perivascular spaces never"):
        run(engine(what), subject)
    program = Command("epvs.lesion_command", engine(what), 0.5)
    found, _ = command.segment(program, *subject, 1, "the.log", LESIONS)
    assert found[:, :, :15].all() and not found[:, :, 15:].any()
    program = Command("epvs.lesion_command", engine("1 + 0 * data"), 0.5)
    with pytest.raises(Fault, match="command of epvs.lesion_command .* which lesions never fill"):
        command.segment(program, *subject, 1, "the.log", LESIONS)


def test_a_program_can_say_that_the_images_are_at_fault(subject, engine):
    with pytest.raises(BadInput, match="cannot use these images .exit status 65.") as caught:
        run(engine("sys.exit(65)"), subject)
    assert caught.value.stop.file == subject[0]["t1w"] and "the.log" in caught.value.stop.cure


def test_its_words_go_to_the_log(subject, engine, capfd):
    run(f"echo spoken && echo complained >&2 && {engine('0 * data')}", subject)
    out, err = capfd.readouterr()
    assert out.splitlines()[-1] == "spoken" and "engine.py" in out
    assert err.splitlines() == ["complained"]


@pytest.mark.parametrize("name", ["t2w", "flair", "flair_native"])
def test_a_subject_without_an_image_that_the_line_names_is_listed(subject, name):
    subject[0].pop("t2w")
    with pytest.raises(BadInput, match=rf"there is no \w+, and epvs.command needs .{name}"):
        run(f"cp {{{name}}} {{output}}", subject)


def test_an_image_that_may_be_missing_is_an_empty_word(subject):
    subject[0].pop("t2w")
    found, _ = run("test -z {t2w?} && test -z {flair?} && cp {mask} {folder} && cd {folder} && "
                   f"{shlex.quote(sys.executable)} -c 'import nibabel, sys; "
                   "i = nibabel.load(sys.argv[1]); "
                   "nibabel.save(nibabel.Nifti1Image(0 * i.get_fdata(), i.affine), sys.argv[2])' "
                   "mask.nii.gz {output}", subject)  # fmt: skip
    assert not found.any()


def test_the_flair_comes_on_the_grid_of_the_others(subject, tmp_path, engine):
    import ants

    images, labels = subject
    data = nib.load(images["t2w"]).get_fdata().astype(np.float32)
    moved = AFFINE.copy()
    moved[:3, 3] += (3, -2, 1)
    images["flair_native"] = image(tmp_path, "flair", data + 1, moved)
    matrix = ants.create_ants_transform(
        transform_type="AffineTransform",
        dimension=3,
        translation=(-3, 2, 1),  # LPS
    )
    images["flair_matrix"] = str(tmp_path / "matrix.mat")
    ants.write_transform(matrix, images["flair_matrix"])
    template = engine("(data > 1).astype('uint8')").replace("{t2w}", "{flair}")
    found, _ = run(template, subject)
    np.testing.assert_array_equal(found > 0.5, data > 0)
