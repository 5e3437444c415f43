"""Training on one device."""

import pytest

from atmorep_k.components.distributions import Mesh
from atmorep_k.distribution import engine_for
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("mesh", [None, Mesh((1, 1))])
def test_several_processes_for_one_device_are_refused(mesh, monkeypatch):
    told = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1234"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r'2 processes were started.*--set MESH="\(2, 1\)"'):
        engine_for(mesh)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert engine_for(mesh).is_main
