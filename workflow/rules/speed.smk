"""Snakemake's own work made cheaper for large cohorts; no result depends on anything here.

Every job of the plan pays for what snakemake computes anew although it is the same for all jobs of
one kind. A name that another version of snakemake lacks is passed over.
"""

import atexit
import functools
import gc
import threading

import snakemake.common
import snakemake.dag
import snakemake.jobs
import snakemake.rules
import snakemake.sourcecache
from snakemake.scheduling.job_scheduler import JobScheduler


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
    function = getattr(module, name, None)
    if function and not hasattr(function, "cache_info"):
        setattr(module, name, functools.lru_cache(maxsize=10000)(function))


def look_for_scripts_once():
    """Look for the script of a rule once, not for every job; none of ours depends on wildcards."""
    processor = getattr(snakemake.dag, "ScriptProcessor", None)
    if not processor:
        return
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

    if isinstance(getattr(snakemake.jobs.Job, "message", None), property):
        snakemake.jobs.Job.message = property(message)


def take_environments_from_rules():
    """Tell the conda environment of a job from its rule; none of ours depends on wildcards.

    Snakemake computes the params of every job first, which a dry run of new subjects never needs.
    """
    if hasattr(snakemake.rules.Rule, "expand_conda_env"):
        snakemake.jobs.Job.conda_env_spec = property(lambda job: job.rule.expand_conda_env({}))


def trust_outputs_to_be_files():
    """Leave out the search for results inside folders that are results; we put none there."""
    if hasattr(snakemake.dag.DAG, "check_directory_outputs"):
        snakemake.dag.DAG.check_directory_outputs = lambda dag: None


wake_scheduler_once()
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
