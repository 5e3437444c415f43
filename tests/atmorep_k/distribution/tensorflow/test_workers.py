"""Which process of how many this is, as TensorFlow's environment tells it."""

import json

import keras
import pytest

from atmorep_k.errors import UserError

if keras.backend.backend() != "tensorflow":
    pytest.skip("of the TensorFlow backend", allow_module_level=True)

from atmorep_k.distribution.tensorflow import workers

pytestmark = pytest.mark.backend


@pytest.fixture
def configure(monkeypatch):
    """Function (cluster, type, index) that sets TF_CONFIG."""

    def change(cluster, kind, index):
        config = {"cluster": cluster, "task": {"type": kind, "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))

    return change


@pytest.mark.parametrize(("kind", "index", "number"), [("chief", 0, 0), ("worker", 1, 2)])
def test_the_chief_comes_before_workers(kind, index, number, configure):
    configure({"worker": ["b:1", "c:1"], "chief": ["a:1"]}, kind, index)
    assert workers.workers_place(workers.resolver()) == (number, 3)
    assert workers.number() == 3


@pytest.mark.parametrize("text", ["{", "{}", '{"cluster": {"worker": ["a:1"]}}'])
def test_a_config_that_tells_too_little_is_shown_one(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r"it should look like .*cluster"):
        workers.resolver()


def test_one_address_is_not_enough(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "a")
    with pytest.raises(UserError, match="start it with srun, or set TF_CONFIG"):
        workers.resolver()


def test_slurm_tells_all_addresses(monkeypatch):
    step = {"PROCID": "1", "STEP_NUM_TASKS": "2", "STEP_NODELIST": "node[1-2]"}
    step |= {"STEP_TASKS_PER_NODE": "1(x2)", "NODEID": "1", "LOCALID": "0"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    found = workers.resolver()
    assert workers.workers_place(found) == (1, 2)
    assert found.cluster_spec().job_tasks("worker") == ["node1:8888", "node2:8888"]
