"""A real SLURM of one node on this machine's loopback, for the tests.

    python -m tests.slurm.cluster start
    python -m tests.slurm.cluster stop

Needs root and Debian's packages munge and slurm-wlm, which `start` installs. There is no database:
the executor reads the states of jobs from squeue. The configuration stands in /etc/slurm, since
the executor takes SLURM_CONF out of the environment of what it starts; a machine that has one
already is left alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ("munge", "slurm-wlm")
HOME = Path("/var/lib/glymph-slurm")
CONFIGURATION = Path("/etc/slurm/slurm.conf")
POLICY = Path("/usr/sbin/policy-rc.d")
MARK = "# written by glymph's tests"
PARTITION = "main"
CPUS = 8
"""More than the machine may have: SLURM hands them out, the kernel shares what there is."""

TEXT = f"""{MARK}
ClusterName=glymph
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=slurm
SlurmdUser=root
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SrunPortRange=60001-60063
SlurmctldPidFile={HOME}/ctld/slurmctld.pid
SlurmdPidFile={HOME}/slurmd.pid
StateSaveLocation={HOME}/ctld
SlurmdSpoolDir={HOME}/slurmd
SlurmctldLogFile={HOME}/ctld/slurmctld.log
SlurmdLogFile={HOME}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
KillWait=3
SchedulerParameters=sched_interval=2,sched_min_interval=0
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
NodeName=localhost NodeAddr=127.0.0.1 CPUs={CPUS} CoresPerSocket={CPUS} RealMemory={{memory}}
PartitionName={PARTITION} Nodes=localhost Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
"""


class NoCluster(Exception):
    """Why there can be no SLURM on this machine."""


def start() -> None:
    """Install, configure and start; raises `NoCluster` where that is not possible."""
    if os.geteuid() != 0:
        raise NoCluster("starting a SLURM needs root")
    if CONFIGURATION.exists() and not CONFIGURATION.read_text().startswith(MARK):
        raise NoCluster(f"{CONFIGURATION} is there already: this machine has a SLURM of its own")
    _install()
    stop()
    _configure()
    _start_daemon("munged", "munge", "/usr/sbin/munged", "--force")
    _wait("munge -n | unmunge")
    _start_daemon("slurmctld", "slurm", "/usr/sbin/slurmctld")
    _wait("scontrol ping")
    _call("/usr/sbin/slurmd", "-N", "localhost")
    _wait("sinfo -h -n localhost -o %T | grep -qx idle")


def stop() -> None:
    """End all jobs and daemons and take the configuration away; does nothing without one."""
    if not CONFIGURATION.exists():
        return
    subprocess.run(["scancel", "--state=PENDING,RUNNING"], capture_output=True, check=False)
    for name in ("slurmd", "slurmctld", "munged"):
        subprocess.run(["pkill", "-x", name], check=False)
        _wait(f"! pgrep -x {name}")
    CONFIGURATION.unlink()
    subprocess.run(["rm", "-rf", str(HOME)], check=True)


def jobs() -> list[dict[str, str]]:
    """What SLURM knows of every job, oldest first: JobId, JobState, MinMemoryNode, RunTime, ..."""
    listed = subprocess.run(
        ["scontrol", "show", "job", "-o"], capture_output=True, text=True, check=True
    ).stdout
    found = [
        dict(part.split("=", 1) for part in line.split() if "=" in part)
        for line in listed.splitlines()
        if line.startswith("JobId=")
    ]
    return sorted(found, key=lambda job: int(job["JobId"]))


def _install() -> None:
    known = subprocess.run(["dpkg-query", "-W", *PACKAGES], capture_output=True, check=False)
    if known.returncode == 0:
        return
    own = not POLICY.exists()
    if own:  # the packages' own services must not start
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES]
    try:
        done = subprocess.run(
            command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise NoCluster("only Debian's packages of SLURM are known (no apt-get)") from None
    finally:
        if own:
            POLICY.unlink()
    if done.returncode:
        raise NoCluster(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")


def _configure() -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    for folder, user in (("", "root"), ("slurmd", "root"), ("ctld", "slurm"), ("munge", "munge")):
        (HOME / folder).mkdir(parents=True, exist_ok=True)
        _call("chown", user, str(HOME / folder))
    Path("/run/munge").mkdir(exist_ok=True)
    _call("chown", "munge", "/run/munge")
    CONFIGURATION.write_text(TEXT.format(memory=int(0.9 * memory)))


def _start_daemon(name: str, user: str, *command: str) -> None:
    more = ["--log-file", str(HOME / "munge" / "munged.log")] if name == "munged" else []
    _call("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command, *more)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoCluster(f"{' '.join(command)}: {done.stderr.strip()}")


def _wait(condition: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while subprocess.run(["sh", "-c", condition], capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            raise NoCluster(f"gave up waiting for: {condition} (logs in {HOME})")
        time.sleep(0.1)


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
