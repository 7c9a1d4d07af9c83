"""The text of `epvs.command` and `epvs.lesion_command`: a line for bash with placeholders, which
become quoted paths.

``{t1w}``, ``{t2w}``     the images as our network sees them: 1 mm, [-1, 1], -1 outside the brain
``{flair}``              the FLAIR on the same grid, aligned to the T1w, intensities as scanned
``{mask}``, ``{labels}`` brain mask and region labels on the same grid
``{t1w_native}``         the bias-corrected T1w on its own grid
``{t2w_native}``, ``{flair_native}``  the images as they are in the dataset
``{output}``             where the program writes its mask or probability (.nii.gz)
``{folder}``             an empty scratch folder, removed afterwards
``{threads}``            how many threads it may use

A subject without an image that the line names gets no result of it; ``{t2w?}`` is an empty word
there. The shell's own ``${name}`` is left alone, and ``{{name}}`` is ``{name}`` to the shell.
Nothing here needs a library: the start of every run and job reads it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from glymph.common.errors import BadInput, short

ALWAYS = ("t1w", "t1w_native", "mask", "labels")
MAYBE = {"t2w": "T2w", "flair": "FLAIR", "t2w_native": "T2w", "flair_native": "FLAIR"}
"""Images that a subject may lack, and the scan that they need."""
OTHERS = ("output", "folder", "threads")
PLACEHOLDER = re.compile(r"\{\{\w+\}\}|(?<!\$)\{(?P<name>\w+)(?P<optional>\?)?\}")
COMMENT = re.compile(r"^\s*#.*$", re.M)
SHELL = ("bash", "-euo", "pipefail", "-c")
BETWEEN = {"&&", "||", "|", "|&", ";", "&", "(", ")", ";;"}
"""What stands between commands of the shell."""
WIDTH = 100
"""Characters of the command that a message repeats."""


@dataclass(frozen=True)
class Command:
    """A program of the lab's own: the configuration's ``key`` that holds its line, this
    ``template``, and the ``threshold`` at which a probability of it is cut."""

    key: str
    template: str | None
    threshold: float


def in_use(config: dict) -> dict[str, Command]:
    """The programs that this configuration runs on images, by key."""
    epvs, found = config["epvs"], {}
    if config["metrics_table"] or epvs["engine"] == "none":
        return {}
    if epvs["engine"] == "command":
        found["epvs.command"] = Command("epvs.command", epvs["command"], epvs["threshold"])
    if epvs["lesion_command"]:
        found["epvs.lesion_command"] = Command(
            "epvs.lesion_command", epvs["lesion_command"], epvs["lesion_threshold"]
        )
    return found


def named(template: str) -> set[str]:
    """The placeholders of ``template``, without the marks of optional ones."""
    return {m["name"] for m in PLACEHOLDER.finditer(template) if m["name"]}


def lacking(template: str, scans: Iterable[str]) -> list[str]:
    """Of the scans that ``template`` cannot do without, those that are not among ``scans``."""
    needed = {MAYBE.get(m["name"]) for m in PLACEHOLDER.finditer(template) if not m["optional"]}
    return sorted(needed - {None} - set(scans))


def check(command: Command) -> None:
    """Raise `BadInput` with one message for a command that cannot run, on this machine, at all."""
    template = command.template
    if not template or not template.strip():
        why = "epvs.engine: command needs a command line in epvs.command"
        raise BadInput(
            why if command.key == "epvs.command" else f"{command.key}: its command line is empty",
            "", 'give one, such as "my_program {t1w} {t2w} {output}"',
        )  # fmt: skip
    wrong = _wrong_placeholders(template) or _wrong_shell(template) or _wrong_program(template)
    if wrong:
        raise BadInput(f"{command.key} ({short(template, WIDTH)}): {wrong[0]}", "", wrong[1])


def _wrong_placeholders(template: str) -> tuple[str, str] | None:
    """What is wrong with the placeholders and what to do, None where nothing is."""
    known = (*ALWAYS, *MAYBE, *OTHERS)
    unknown = sorted(named(template) - set(known))
    if unknown:
        return (
            f"unknown {', '.join(f'{{{name}}}' for name in unknown)}",
            f"known are {', '.join(f'{{{name}}}' for name in known)}; braces that are the shell's "
            "own are written twice: {{word}}",
        )
    if "output" not in named(template):
        return "{output} is missing", "say with {output} where the program writes its result"
    found = list(PLACEHOLDER.finditer(template))
    whole = sorted({m["name"] for m in found if m["optional"]} - set(MAYBE))
    if whole:
        return f"{{{whole[0]}?}} is never missing", f"write {{{whole[0]}}}"
    quoted = next((m[0] for m in found if m["name"] and _in_quotes(template[: m.start()])), None)
    if quoted:
        return (
            f"{quoted} stands within quotes, backquotes or a here-document",
            "leave the quotes away: paths are quoted when they are filled in; put longer scripts "
            "into a file",
        )
    return None


def _in_quotes(before: str) -> bool:
    """Whether what follows ``before`` is quoted for the shell, where a quoted path would end it."""
    mark, escaped = "", False
    for char in COMMENT.sub("", before):
        if escaped:
            escaped = False
        elif char == "\\" and mark != "'":
            escaped = True
        elif mark:
            mark = "" if char == mark else mark
        elif char in "'\"`":
            mark = char
    return bool(mark) or "<<" in before.replace("<<<", "")


def _wrong_shell(template: str) -> tuple[str, str] | None:
    if not shutil.which(SHELL[0]):
        return "there is no bash, which runs it", "install bash"
    line = fill(template, dict.fromkeys((*ALWAYS, *MAYBE, *OTHERS), "x"))
    done = subprocess.run([SHELL[0], "-n", "-c", line], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"bash cannot read it ({short(done.stderr, WIDTH)})", "correct the line"
    return None


def _wrong_program(template: str) -> tuple[str, str] | None:
    for word in _first_words(template):
        asked = [SHELL[0], "-c", 'type -t -- "$1"', SHELL[0], os.path.expanduser(word)]
        if subprocess.run(asked, capture_output=True, check=False).returncode:
            there = os.path.isfile(os.path.expanduser(word))
            why = "is not executable" if there else "is neither on PATH nor a file"
            return (
                f"the program '{short(word)}' {why}",
                "make it executable (chmod +x)" if there else
                "install it, load its module, or give its path",
            )  # fmt: skip
    return None


def _words(template: str) -> list[str]:
    """The words of ``template`` as the shell splits them; line ends are semicolons."""
    text = COMMENT.sub("", template).replace("\\\n", " ").strip().replace("\n", " ; ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:  # an apostrophe in a comment behind a command, say
        return text.split()


def _first_words(template: str) -> list[str]:
    """The first word of every command of ``template`` that is not made by the shell itself."""
    found, first = [], True
    for word in _words(template):
        if word in BETWEEN:
            first = True
        elif first and not re.match(r"\w+=", word):
            first = False
            if not re.search(r"[$`{}]", word):
                found.append(word)
    return found


def programs(template: str) -> list[str]:
    """Paths of the programs that ``template`` starts, those that are found here."""
    found = (shutil.which(os.path.expanduser(word)) for word in _first_words(template))
    return [path for path in found if path]


def files(template: str) -> list[str]:
    """The files that ``template`` names, as it names them: its programs first, then scripts,
    weights and container images among its words.

    What lies in folders, and what a program reads of its own accord, is not among them.
    """
    words = (os.path.expanduser(word.rpartition("=")[2]) for word in _words(template))
    return list(dict.fromkeys([*programs(template), *filter(os.path.isfile, words)]))


def fill(template: str, values: dict[str, str]) -> str:
    """The line for the shell: placeholders replaced by ``values``, each quoted as one word.

    Without a value an optional placeholder is an empty word; others raise KeyError.
    """

    def filled(match: re.Match) -> str:
        if not match["name"]:
            return match[0][1:-1]
        default = {match["name"]: ""} if match["optional"] else {}
        return shlex.quote(str((default | values)[match["name"]]))

    return PLACEHOLDER.sub(filled, template)
