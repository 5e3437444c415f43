"""Where compiled steps are kept, and that the next process finds them."""

import os
import subprocess
import sys

import keras
import pytest

from atmorep_k.backend.compile_cache import use_compile_cache

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX keeps what it compiles"
)

STEP = """
import atmorep_k, jax
from atmorep_k.backend.compile_cache import use_compile_cache
folder = use_compile_cache()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
heard = []
jax.monitoring.register_event_listener(lambda name, **_: heard.append(name))
jax.jit(lambda x: jax.numpy.sin(x) @ x)(jax.numpy.ones((8, 8)))
print(folder, sum("cache_hits" in name for name in heard))
"""


def call(**environment):
    ours = ("JAX_", "ATMOREP_K_")
    others = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", STEP],
        env={**others, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    folder, hits = done.stdout.split()
    return folder, int(hits)


@pytest.mark.slow
def test_another_process_takes_what_one_has_compiled(tmp_path):
    first, none = call(ATMOREP_K_CACHE=str(tmp_path))
    again, hits = call(ATMOREP_K_CACHE=str(tmp_path))
    assert first == again
    assert first.startswith(f"{tmp_path}/jax/")
    assert none == 0
    assert hits >= 1


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("ATMOREP_K_NO_COMPILE_CACHE", "1")
    assert use_compile_cache() is None


def test_a_directory_that_the_user_has_chosen_stays(monkeypatch, tmp_path):
    import jax

    monkeypatch.delenv("ATMOREP_K_NO_COMPILE_CACHE", raising=False)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        assert use_compile_cache() == tmp_path
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
