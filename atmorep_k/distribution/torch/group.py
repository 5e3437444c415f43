"""The process group of PyTorch: who is in it, and what is said when it breaks."""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import torch
import torch.distributed as dist

from atmorep_k.distribution.launch import BROKEN
from atmorep_k.distribution.processes import Processes
from atmorep_k.errors import UserError


def join_group(mesh: Any) -> tuple[int, int]:
    """Joins the processes that the environment tells of; each takes a device of its own.

    Args:
        mesh: a `Mesh`.

    Returns:
        Number of this process, and of all.

    Raises:
        UserError: if their number is not that of the mesh, a machine has fewer GPUs than
            processes, or the first process does not answer.
    """
    here = Processes.from_environment()
    size = mesh.resolved(here.number)
    if math.prod(size) != here.number:
        raise UserError(
            f"Mesh.shape is {size}, but there are {here.number} processes: on PyTorch each device "
            f"has one, so start {math.prod(size)}."
        )
    if here.number == 1:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        return 0, 1
    _take_device(os.environ)
    set_address(os.environ)
    kinds = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with told():
        dist.init_process_group(kinds, rank=here.process, world_size=here.number)
    return here.process, here.number


def _take_device(environment: Mapping[str, str]) -> None:
    devices = torch.cuda.device_count()
    if not devices:
        return
    if "LOCAL_RANK" in environment:
        number = int(environment["LOCAL_RANK"])
    else:
        # SLURM may show each process the one GPU that is its own.
        number = int(environment.get("SLURM_LOCALID", 0)) % devices
    if number >= devices:
        raise UserError(
            f"this is process {number + 1} on a machine with {devices} GPUs; on PyTorch each "
            f"process needs its own: start fewer, or set CUDA_VISIBLE_DEVICES= to train on the CPU."
        )
    torch.cuda.set_device(number)


def set_address(environment: MutableMapping[str, str]) -> None:
    """Sets host and port of the first process, where only SLURM's variables tell them."""
    if "MASTER_ADDR" not in environment:
        nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
        environment["MASTER_ADDR"] = first_host(nodes)
    # Jobs that share a machine get different ports.
    job = int(environment.get("SLURM_JOB_ID", 0))
    environment.setdefault("MASTER_PORT", str(61440 + job % 4096))


def first_host(nodes: str) -> str:
    """Returns the first of the hosts that SLURM writes as `a[03-07,09],b1`."""
    name, bracket, numbers = nodes.partition("[")
    if not bracket or "," in name:
        return nodes.partition(",")[0]
    number = numbers.replace("-", ",").replace("]", ",").partition(",")[0]
    return name + number + numbers.partition("]")[2].partition(",")[0]


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn the error of a lost process into a `UserError`."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise UserError(BROKEN) from error
        raise
