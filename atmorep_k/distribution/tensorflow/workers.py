"""The processes of a training on TensorFlow, which know each other's addresses from the start."""

import functools
import json
import os
from typing import Any

import tensorflow as tf

from atmorep_k.distribution.processes import Processes
from atmorep_k.errors import UserError


def number() -> int:
    """Returns how many processes the environment tells of."""
    if "TF_CONFIG" in os.environ:
        return len(_tasks(resolver().cluster_spec()))
    return Processes.from_environment().number


def resolver() -> Any:
    """Returns TensorFlow's `ClusterResolver`; None for a process on its own.

    Raises:
        UserError: if the environment does not give the addresses of all processes.
    """
    if "TF_CONFIG" in os.environ:
        return _from_config()
    here = Processes.from_environment()
    if here.number == 1:
        return None
    if here.address:
        raise UserError(
            "the environment gives the address of the first process (MASTER_ADDR), but TensorFlow "
            "needs those of all: start it with srun, or set TF_CONFIG in each process."
        )
    return _from_slurm()


def _from_slurm():
    # Given numbers, it does not look for GPUs itself, which fails where there are none.
    found = tf.distribute.cluster_resolver.SlurmClusterResolver(
        gpus_per_node=Processes.from_environment().number, gpus_per_task=1, auto_set_gpu=False
    )
    cluster, (job, index) = found.cluster_spec(), found.get_task_info()
    gpus = {"GPU": len(tf.config.list_physical_devices("GPU"))}
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        cluster, task_type=job, task_id=index, rpc_layer="grpc", num_accelerators=gpus
    )


@functools.cache
def strategy() -> tf.distribute.MultiWorkerMirroredStrategy:
    """Returns the strategy of several processes.

    It joins them, which TensorFlow allows only as long as nothing has been computed.
    """
    return tf.distribute.MultiWorkerMirroredStrategy(resolver())


def _from_config():
    try:
        found = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        workers_place(found)
    except (ValueError, AttributeError, TypeError) as error:
        example = {
            "cluster": {"worker": ["a:2222", "b:2222"]},
            "task": {"type": "worker", "index": 0},
        }
        raise UserError(
            f"TF_CONFIG = {os.environ['TF_CONFIG']!r} does not name the workers and this "
            f"process's place among them; it should look like {json.dumps(example)}."
        ) from error
    return found


def workers_place(found: Any) -> tuple[int, int]:
    """Returns the number of this process, from 0, and of all."""
    tasks = _tasks(found.cluster_spec())
    return tasks.index((found.task_type, found.task_id)), len(tasks)


def _tasks(cluster) -> list[tuple[str, int]]:
    # The order in which TensorFlow numbers replicas.
    jobs = [job for job in ("chief", "worker") if job in cluster.jobs]
    return [(job, index) for job in jobs for index in cluster.task_indices(job)]
