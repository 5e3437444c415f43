import keras
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("of the PyTorch backend", allow_module_level=True)

from atmorep_k.components.distributions import Mesh
from atmorep_k.distribution.torch.group import first_host, join_group, set_address, told
from atmorep_k.errors import UserError


# As `scontrol show hostnames` would write them out.
@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("node7,node9", "node7"),
        ("node[03-07,09],b1", "node03"),
        ("node[12,15-17]", "node12"),
        ("login1,node[03-07]", "login1"),
        ("rack2-n[001-004].cluster", "rack2-n001.cluster"),
    ],
)
def test_first_host_of_slurm(nodes, first):
    assert first_host(nodes) == first


def test_address_from_slurm():
    environment = {"SLURM_JOB_NODELIST": "n[3-4]", "SLURM_JOB_ID": "5001"}
    set_address(environment)
    assert environment["MASTER_ADDR"] == "n3"
    assert 1024 < int(environment["MASTER_PORT"]) < 65536
    given = {"MASTER_ADDR": "a", "MASTER_PORT": "1"}
    set_address(given)
    assert given == {"MASTER_ADDR": "a", "MASTER_PORT": "1"}


def test_other_numbers_of_processes(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(UserError, match=r"Mesh\.shape is \(2, 1\), but there are 4 processes"):
        join_group(Mesh((2, 1)))
    with pytest.raises(UserError, match="choose a shape with at most as many"):
        join_group(Mesh((8, 1)))


def test_lost_connections_are_told_in_a_sentence():
    gone = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    with pytest.raises(UserError, match="connection to another process"), told():
        raise gone
    with pytest.raises(RuntimeError, match="size mismatch"), told():
        raise RuntimeError("size mismatch")
