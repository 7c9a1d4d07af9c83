"""What speed.smk takes from snakemake's work changes nothing that a workflow can see."""

import pytest

from tests.workflow.conftest import ROOT, planned, snakemake

WORKFLOW = """
rule all:
    input: "last.txt", "mark.txt"
    default_target: True

rule first:
    input: lambda wildcards: ancient("source.txt"), files=ancient(lambda wildcards: ["other.txt"])
    output: temp("{name}_first.txt"), kept="{name}_kept.txt"
    params: word=lambda wildcards: config["word"]
    shell: "echo {params.word} | tee {output} > /dev/null"

rule second:
    input: unpack(lambda wildcards: {"one": "a_first.txt", "two": "a_kept.txt"})
    output: protected("last.txt")
    shell: "cat {input.one} {input.two} > {output}"

rule third:
    input: "a_kept.txt"
    output: touch("mark.txt")
    resources: mem_mb=lambda wildcards, attempt: 10 * attempt
    script: "third.py"
"""


@pytest.fixture(params=["plain", "quicker"])
def folder(tmp_path, request):
    begin = f'include: "{ROOT}/workflow/rules/speed.smk"\n' if request.param == "quicker" else ""
    (tmp_path / "Snakefile").write_text(begin + WORKFLOW)
    (tmp_path / "third.py").write_text("print(snakemake.resources.mem_mb)")
    for name in ("source.txt", "other.txt"):
        (tmp_path / name).write_text("x")
    return tmp_path


def run(folder, *arguments, word="one"):
    snakefile = folder / "Snakefile"
    return snakemake(
        *arguments, "--config", f"word={word}", cwd=folder, cores=1, snakefile=snakefile
    )[1]


def test_flags_and_triggers_are_kept(folder):
    everything = {"all": 1, "first": 1, "second": 1, "third": 1}
    for quiet in ((), ("--quiet", "rules")):
        assert planned(run(folder, "-n", *quiet)) == everything
    assert "a_first.txt" in run(folder, "-n")
    run(folder)
    assert not (folder / "a_first.txt").exists()  # temp
    assert (folder / "last.txt").read_text() == "one\none\n"  # unpack
    assert (folder / "last.txt").stat().st_mode & 0o222 == 0  # protected
    assert (folder / "mark.txt").exists()  # touch
    for name in ("source.txt", "other.txt"):
        (folder / name).write_text("changed")
    assert planned(run(folder, "-n")) == {}  # ancient
    (folder / "third.py").write_text("print(2)")
    assert planned(run(folder, "-n")) == {"all": 1, "third": 1}  # code
    (folder / "last.txt").chmod(0o644)
    assert planned(run(folder, "-n", word="two")) == everything  # params
