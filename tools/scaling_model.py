"""How a training would scale over many devices, from its counted bytes and operations.

    python tools/scaling_model.py gin/published/velocity_u_2024.gin --rows 8

Each replica (a device, or as many as share the weights, --model) has --rows samples of every batch,
whatever their number: weak scaling. Assumptions, all of them options: a device reaches --mfu of its
--peak rate; gradients are summed over the replicas by a ring, in which each device sends and
receives 2 (n - 1) / n of its gradients at --bandwidth, with --latency for each of its 2 (n - 1)
messages; this begins when the backward pass is done (`none`) or goes on beside it (`full`), which
is two thirds of the step. What devices that share weights exchange is part of the --mfu they reach.
"""

import argparse
import dataclasses

import atmorep_k  # noqa: F401 (before Keras, so that JAX is the default backend)


@dataclasses.dataclass(frozen=True)
class Machine:
    """What devices and network do.

    Args:
        peak: operations per second of a device.
        mfu: share of them that a step reaches.
        bandwidth: bytes per second of a device to those of other nodes.
        latency: seconds of a message.
    """

    peak: float
    mfu: float
    bandwidth: float
    latency: float

    def computing(self, flops: float) -> float:
        """Returns the seconds of a step without exchange."""
        return flops / (self.peak * self.mfu)

    def exchanging(self, nbytes: float, replicas: int) -> float:
        """Returns the seconds in which a ring of replicas sums what each has so many bytes of."""
        sent = 2 * (replicas - 1) / replicas * nbytes
        return sent / self.bandwidth + 2 * (replicas - 1) * self.latency

    def step(self, flops: float, nbytes: float, replicas: int) -> tuple[float, float]:
        """Returns the seconds of a step without overlap, and with all that the backward allows."""
        computing, exchanging = self.computing(flops), self.exchanging(nbytes, replicas)
        forward = computing / 3
        return computing + exchanging, forward + max(computing - forward, exchanging)


def main():
    """Prints samples per second and what they are of the ideal, by number of replicas."""
    arguments = _arguments()
    found = _estimate(arguments)
    machine = Machine(
        1e12 * arguments.peak, arguments.mfu, 1e9 * arguments.bandwidth, 1e-6 * arguments.latency
    )
    gigabytes = found.total / 1e9
    print(f"{found.parameters:,} parameters; per device {gigabytes:.3g} GB and", end=" ")
    print(f"{found.device_flops / 1e12:.3g} TFLOP a step, {found.gradients / 1e9:.3g} GB to sum")
    print(f"\n{'replicas':>8}{'devices':>9}{'overlap none':>22}{'overlap full':>22}")
    print(" " * 17 + f"{'samples/s':>13}{'of ideal':>9}" * 2)
    alone = machine.computing(found.device_flops)
    for replicas in arguments.replicas:
        cells = [
            f"{replicas * arguments.rows / seconds:13.4g}{alone / seconds:9.2f}"
            for seconds in machine.step(found.device_flops, found.gradients, replicas)
        ]
        print(f"{replicas:8}{replicas * arguments.model:9}" + "".join(cells))


def _estimate(arguments):
    from atmorep_k import config
    from atmorep_k.costs.training import estimate

    mesh = f"MESH=(1, {arguments.model})"
    files = [*arguments.files, "train/single.gin"]
    overrides = [*arguments.set, f"BATCH_SIZE={arguments.rows}", mesh]
    return estimate(config.load(files, overrides).build())


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="gin files")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rows", type=int, default=1, help="samples of a replica [1]")
    parser.add_argument("--model", type=int, default=1, help="devices that share weights [1]")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 128])
    parser.add_argument("--peak", type=float, default=312.0, help="TFLOP/s of a device [312]")
    parser.add_argument("--mfu", type=float, default=0.35, help="share of it reached [0.35]")
    parser.add_argument("--bandwidth", type=float, default=12.5, help="GB/s of a device [12.5]")
    parser.add_argument("--latency", type=float, default=10.0, help="microseconds [10]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
