#!/usr/bin/env bash
# A training on JAX under SLURM: one process on each node, which uses all of its GPUs.
#
#   sbatch --nodes 4 tools/slurm/jax.sh runs/mine gin/pretrain_multi.gin --set 'MESH=(16, 1)'
#
# The first argument is the run's directory, the others are those of `atmorep-k run`. Accounts and
# partitions are given to sbatch, or by the variables that it reads (SBATCH_ACCOUNT, ...).
#SBATCH --job-name=atmorep-k
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=64
#SBATCH --time=12:00:00
# Two minutes before the end each process gets SIGTERM: it saves a checkpoint and returns 75.
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

run=${1:?"the run's directory, then the arguments of atmorep-k run"}
shift

export KERAS_BACKEND=jax

# A run that was interrupted goes on; how it was configured is in its directory.
arguments=("$@" --output "$run")
if [[ -e $run/config.gin ]]; then
  arguments=(--resume "$run")
fi

# What a process gets of a task is not handed on by newer versions of SLURM.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}

# The processes find each other by SLURM's variables. One that fails ends the others.
srun --kill-on-bad-exit=1 atmorep-k run "${arguments[@]}"
code=$?

if [[ $code -eq 75 ]]; then
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
exit "$code"
