"""Snakemake's own work made cheaper for large cohorts; no result depends on anything here.

Every job of the plan pays for what snakemake computes anew although it is the same for all jobs of
one kind. Only the version of snakemake that this was written for gets it (common.smk): another one
runs the same jobs, but plans more slowly, and its scheduler keeps a core busy while jobs wait.
"""

import atexit
import collections
import functools
import gc
import sys
import threading

import snakemake.common
import snakemake.dag
import snakemake.io
import snakemake.iocontainers
import snakemake.jobs
import snakemake.output_index
import snakemake.rules
import snakemake.sourcecache
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.enums import Quietness


def wake_scheduler_once():
    """Let snakemake's scheduler have one timer at a time.

    Its rate limit (on by default) starts a timer on every pass while jobs wait; each timer causes a
    pass, and so does each finished job: after n jobs there are n passes a second, which fill a core
    with a few hundred. One waiting timer does the same.
    """
    waiting = set()

    def once(scheduler, delay):
        def wake():
            waiting.discard(scheduler)
            scheduler._open_jobs.release()

        if scheduler not in waiting:
            waiting.add(scheduler)
            threading.Timer(delay, wake).start()

    JobScheduler._schedule_reevalutation = once


def remember(module, name):
    """Let a pure function of snakemake answer the same question from memory."""
    function = getattr(module, name)
    if not hasattr(function, "cache_info"):
        setattr(module, name, functools.lru_cache(maxsize=10000)(function))


def look_for_scripts_once():
    """Look for the script of a rule once, not for every job; none of ours depends on wildcards."""
    processor = snakemake.dag.ScriptProcessor
    look, seen = processor.process_job, set()

    def once(self, job):
        if job.rule.name not in seen:
            look(self, job)
            seen.add(job.rule.name)

    processor.process_job = once


def write_messages_from_wildcards():
    """Write the message of a job from its wildcards; ours name nothing else.

    Snakemake lays every variable of the workflow before the message, anew for every job.
    """

    def message(job):
        return job.rule.message and job.rule.message.format(wildcards=job.wildcards)

    snakemake.jobs.Job.message = property(message)


def take_environments_from_rules():
    """Tell the conda environment of a job from its rule; none of ours depends on wildcards.

    Snakemake computes the params of every job first, which a dry run of new subjects never needs.
    """
    snakemake.jobs.Job.conda_env_spec = property(lambda job: job.rule.expand_conda_env({}))


def trust_outputs_to_be_files():
    """Leave out the search for results inside folders that are results; we put none there."""
    snakemake.dag.DAG.check_directory_outputs = lambda dag: None


def find_sources_once():
    """Find the file of a rule's script once, not for every job; none of ours depends on wildcards."""
    find, found = snakemake.jobs.Job._path_to_source_file, {}

    def once(job, path):
        key = (job.rule.name, str(path))
        if key not in found:
            found[key] = find(job, path)
        return found[key]

    snakemake.jobs.Job._path_to_source_file = once


def read_flags_quickly():
    """Ask a file for its flags without the abstract class that all kinds of files share.

    Snakemake asks three hundred times per job.
    """
    general = snakemake.io.is_flagged
    file, marked = snakemake.io._IOFile, snakemake.io.AnnotatedString

    def is_flagged(value, flag):
        if type(value) is file:
            value = value._file
        if type(value) is marked:
            flags = value.flags
            return flag in flags and bool(flags[flag])
        return type(value) is not str and general(value, flag)

    for library in list(sys.modules.values()):
        if getattr(library, "__dict__", {}).get("is_flagged") is general:
            library.is_flagged = is_flagged


def find_producers_by_ending():
    """Look up which rules may make a file by its ending too: most of ours begin alike."""
    index, known = snakemake.output_index.OutputIndex, 16

    def begin(self, makers):
        self._by_ending = {}
        for maker in makers:
            for product in maker.products():
                ending, start = str(product.constant_suffix()), str(product.constant_prefix())
                same = self._by_ending.setdefault(ending[-known:], [])
                same.append((start, ending, maker))
        self._lengths = sorted({len(key) for key in self._by_ending})

    def match(self, target):
        return {
            maker
            for length in self._lengths
            for start, ending, maker in self._by_ending.get(target[len(target) - length :], ())
            if target.endswith(ending) and target.startswith(start)
        }

    index.__init__, index.match = begin, match


def compare_files_as_texts():
    """Compare files by their names as text does, of which they are a kind."""
    kind = snakemake.io._IOFile
    kind.__eq__, kind.__hash__ = str.__eq__, str.__hash__


def take_plain_names_for_local():
    """A file without flags is in no storage; snakemake asks a hundred times per job."""
    kind = snakemake.io._IOFile
    ask = kind.is_storage.fget
    kind.is_storage = property(lambda file: type(file._file) is not str and ask(file))


def find_folders_of_files_quickly():
    """Cut a plain name at its last slash; snakemake asks for the folder of every file it looks for."""
    kind = snakemake.io._IOFile
    ask = kind.get_inventory_parent

    def folder(file):
        end = file.rfind("/")
        if type(file._file) is not str or end < 1 or file[end - 1] in (".", "/"):
            return ask(file)
        return file[:end]

    kind.get_inventory_parent = folder


def describe_no_jobs_in_quiet_dry_runs():
    """With --quiet a dry run prints no jobs; snakemake still puts each into words."""
    describe = snakemake.jobs.Job.log_info

    def log_info(job, *arguments, **options):
        quiet = job.dag.workflow.output_settings.quiet or ()
        if not (job.dag.workflow.dryrun and {Quietness.RULES, Quietness.ALL} & set(quiet)):
            describe(job, *arguments, **options)

    snakemake.jobs.Job.log_info = log_info


def free_no_resources_in_dry_runs():
    """A dry run takes no resources; snakemake still computes those of every job to give them back."""
    free = JobScheduler._free_resources

    def when_taken(scheduler, job):
        if not scheduler.dryrun:
            free(scheduler, job)

    JobScheduler._free_resources = when_taken


class NoFlags(dict):
    """The flags of a file with a plain name; the first one makes the name an annotated one."""

    def __init__(self, file):
        self.file = file

    def __setitem__(self, flag, value):
        self.file._file = snakemake.io.AnnotatedString(str(self.file._file))
        self.file._file.flags[flag] = value


def keep_plain_names_plain():
    """Leave the names of files without flags as they are, until somebody wants to flag one.

    Snakemake wraps each of them once more: a quarter of the memory of a plan.
    """
    kind = snakemake.io._IOFile
    clone, read = kind.clone_flags, kind.flags.fget

    def clone_flags(file, other, *arguments, **options):
        if type(file._file) is not str or (type(other._file) is not str and other.flags):
            clone(file, other, *arguments, **options)

    def flags(file):
        return NoFlags(file) if type(file._file) is str else read(file)

    kind.clone_flags, kind.flags = clone_flags, property(flags)


def share_empty_sets():
    """Let jobs share the empty sets of their marked files, which nothing changes later."""
    begin, none = snakemake.jobs.Job.__init__, frozenset()
    marks = (
        "temp_output",
        "protected_output",
        "touch_output",
        "pipe_or_service_output",
        "_queue_input",
    )

    def begin_sharing(job, *arguments, **options):
        begin(job, *arguments, **options)
        for mark in marks:
            if getattr(job, mark, True) == none:
                setattr(job, mark, none)

    snakemake.jobs.Job.__init__ = begin_sharing


def write_names_of_logs_when_needed():
    """Leave the names of logs and benchmarks to the start of their job.

    Snakemake makes them twice for every job of the plan: to find the job by them, and to see that
    they can be made; ours have the wildcards of the outputs, and none is a target.
    """

    def cache_job(dag, job):
        for file in job.output:
            dag.job_cache[(job.rule, file)] = job

    snakemake.dag.DAG.cache_job = cache_job
    snakemake.jobs.Job.is_valid = lambda job: None


class Few(list):
    """The few files that one job takes from another: as a list they need half the memory of a set."""

    __slots__ = ()

    def add(self, file):
        if file not in self:
            self.append(file)

    def update(self, files):
        for file in files:
            self.add(file)

    def __ror__(self, others):
        return others | set(self)


def keep_dependencies_small():
    """Keep the files between two jobs in a list, with what snakemake asks of the set."""
    begin = snakemake.dag.DAG.__init__

    def begin_small(dag, *arguments, **options):
        begin(dag, *arguments, **options)
        for name in ("_dependencies", "depending"):
            setattr(dag, name, collections.defaultdict(lambda: collections.defaultdict(Few)))

    snakemake.dag.DAG.__init__ = begin_small


def index_outputs_when_asked():
    """Make the index of a job's few outputs when it is asked for, and do not keep it."""
    snakemake.jobs.Job.output_by_path = property(lambda job: {str(f): f for f in job.output})


def share_guards():
    """Let all lists of files share the guards of their names: two objects each otherwise."""
    guard, shared = snakemake.iocontainers.AttributeGuard, {}
    guard.__new__ = lambda kind, name: shared.setdefault(name, object.__new__(kind))


wake_scheduler_once()
describe_no_jobs_in_quiet_dry_runs()
free_no_resources_in_dry_runs()
share_guards()
keep_dependencies_small()
index_outputs_when_asked()
write_names_of_logs_when_needed()
keep_plain_names_plain()
share_empty_sets()
find_sources_once()
read_flags_quickly()
find_producers_by_ending()
compare_files_as_texts()
take_plain_names_for_local()
find_folders_of_files_quickly()
look_for_scripts_once()
write_messages_from_wildcards()
take_environments_from_rules()
trust_outputs_to_be_files()
remember(snakemake.common, "get_function_params")  # inspects the signature of each input function
remember(snakemake.rules, "get_function_params")
remember(snakemake.sourcecache, "parse_uri")
# A plan of a million small objects, none of them garbage: collecting less often saves a tenth.
gc.set_threshold(300_000, 20, 100)
# At the end the plan is left to the operating system: to free it piece by piece takes a sixth of a
# dry run.
atexit.register(gc.freeze)
