"""Which process of how many this is, from the environment."""

import dataclasses
import os
from collections.abc import Mapping

from atmorep_k.errors import UserError

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclasses.dataclass(frozen=True)
class Processes:
    """This process among those of a training.

    Attributes:
        process: its number, from 0.
        number: of processes.
        address: host:port of process 0; None where the backend finds it.
    """

    process: int = 0
    number: int = 1
    address: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Processes":
        """Reads what `torchrun` sets (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), or SLURM.

        Raises:
            UserError: if some of these are missing.
        """
        if "WORLD_SIZE" in environment or "RANK" in environment:
            if missing := [name for name in _NAMES if not environment.get(name)]:
                raise UserError(
                    f"the environment says that this is one of several processes but lacks "
                    f"{', '.join(missing)}: set {', '.join(_NAMES)}, as torchrun does."
                )
            address = f"{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}"
            return cls(int(environment["RANK"]), int(environment["WORLD_SIZE"]), address)
        # A job's script sees the variables of the job, a step started by srun its own number, too.
        if "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:
            number = int(environment["SLURM_STEP_NUM_TASKS"])
            return cls(int(environment["SLURM_PROCID"]), number) if number > 1 else cls()
        return cls()
