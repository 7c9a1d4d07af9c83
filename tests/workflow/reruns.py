"""What changed -> which rules run again: the table in reruns.yaml, and the page made of it.

python -m tests.workflow.reruns          write docs/reruns.md
"""

from pathlib import Path

import yaml

TABLE = Path(__file__).with_name("reruns.yaml")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reruns.md"
HEAD = """\
# What runs again

Made from `tests/workflow/reruns.yaml` by `python -m tests.workflow.reruns`; each line is tested by
a dry run on a finished cohort with one subject of every kind.

Rules run again for the subject whose file changed, or for all whom they concern. A file counts as
changed when its content does (up to 1 MB), or its size or time (larger ones), also if its time is
older than the results. Of this repository contents count alone: a new clone, or one elsewhere,
makes nothing anew (with the profiles that come along; any other wants their `rerun-triggers`).
"""
SECTIONS = {
    "cohort": "A file of the cohort",
    "configuration": "A key of the configuration",
    "repository": "A file of the repository",
}
NAMED = {
    "everything": "everything",
    "table": "the cohort's table and page, statistics and report",
    "ratings": "the ratings, the cohort's page, statistics and report",
    "statistics": "all statistics",
    "report": "figures and report",
    "page": "the subject's metrics and page",
}
"""Groups that the page calls by a name; the rules of others are listed."""


def load():
    return yaml.safe_load(TABLE.read_text(encoding="utf-8"))


def expand(words, groups):
    """The rules that ``words`` name, with $name replaced by the rules of that group."""
    found = []
    for word in words:
        found += expand(groups[word[1:]], groups) if word.startswith("$") else [word]
    return list(dict.fromkeys(found))


def in_words(words, groups):
    parts = []
    for word in words:
        if word.startswith("$") and word[1:] in NAMED:
            parts.append(NAMED[word[1:]])
        else:
            parts += [f"`{rule}`" for rule in expand([word], groups)]
    return ", ".join(parts) or "nothing"


def page():
    """The text of docs/reruns.md."""
    table = load()
    text = [HEAD]
    for section, title in SECTIONS.items():
        text.append(f"## {title}\n\n| what changed | what runs again |\n|---|---|")
        for line in table[section]:
            keys = ", ".join(f"`{key}`" for key in line.get("keys", {}))
            who = " (that subject alone)" if "units" in line else ""
            what = f"{line['what']}: {keys}" if keys else line["what"]
            text.append(f"| {what}{who} | {in_words(line['rules'], table['groups'])} |")
        text[-1] += "\n"
    text.append("## Groups of rules\n\n| name | rules |\n|---|---|")
    for name, title in NAMED.items():
        rules = expand(table["groups"][name], table["groups"])
        text.append(f"| {title} | {', '.join(f'`{rule}`' for rule in rules)} |")
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
