"""What `atmorep_k.backend.internals` takes for granted: each test says which assumption broke.

Run on each backend after a bound in pyproject.toml was raised.
"""

import inspect

import keras
import numpy as np
import pytest

from atmorep_k.backend.internals import keras as internals
from atmorep_k.backend.internals import optimizers

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="private names of PyTorch")
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="private names of TensorFlow")
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="layouts are those of JAX")


class Outer(keras.layers.Layer):
    """A layer with a weight of its own and a dense layer, which has another."""

    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(3)

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")
        self.inner.build(shape)

    def call(self, inputs):
        self.path_seen = internals.current_path()
        return self.inner(inputs * self.scale)


@pytest.fixture
def layer():
    made = Outer()
    made.build((None, 2))
    return made


@pytest.fixture
def variable():
    return keras.Variable(np.arange(4.0, dtype="float32"), name="weight")


def test_held_value(variable):
    value = internals.held_value(variable)
    assert keras.ops.is_tensor(value) or BACKEND == "tensorflow", "Keras keeps no `_value`"
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(value), np.arange(4))


def test_put_value(variable):
    kind = type(internals.held_value(keras.Variable(np.ones(4, "float32"))))
    made = internals.held_value(keras.Variable(np.full(4, 7, "float32")))
    internals.put_value(variable, made)
    message = "Keras no longer takes the value of a variable from `_value`"
    assert isinstance(internals.held_value(variable), kind), message
    assert (keras.ops.convert_to_numpy(variable) == 7).all(), message


def test_give_shape(variable):
    internals.give_shape(variable, (2,))
    assert tuple(variable.shape) == (2,), "Keras no longer keeps the shape in `_shape`"


@on_jax
def test_place(variable):
    import jax

    layout = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    internals.place(variable, jax.numpy.ones(4), layout)
    assert (np.asarray(variable.value) == 1).all(), "Keras no longer keeps `_value`"
    variable.assign(np.full(4, 2.0, "float32"))
    assert variable.value.sharding == layout, "Keras no longer assigns by `_layout`"
    assert "_layout" in inspect.getsource(type(variable)._direct_assign), (
        "Keras no longer reads `_layout` when it assigns"
    )


def test_renew(variable):
    before = internals.held_value(variable)
    internals.renew(variable, np.full(4, 3.0, "float32"))
    message = "`Variable._initialize` no longer makes the tensor anew"
    assert (keras.ops.convert_to_numpy(variable) == 3).all(), message
    assert internals.held_value(variable) is not before, message


def test_all_layers(layer):
    assert [type(part).__name__ for part in internals.all_layers(layer)] == ["Outer", "Dense"], (
        "`Layer._flatten_layers` no longer returns a layer and all within it"
    )


def test_layers_within(layer):
    assert list(internals.layers_within(layer)) == [layer.inner], (
        "Keras no longer keeps the layers of a layer in `_layers`"
    )


def test_weights_of_its_own(layer):
    assert [w.name for w in internals.weights_of_its_own(layer)] == ["scale"], (
        "Keras no longer keeps a layer's own weights in `_trainable_variables`"
    )


def test_dense_kernel(layer):
    kernel = internals.dense_kernel(layer.inner)
    layer.inner.enable_lora(1)
    layer.inner.lora_kernel_b.assign(np.ones((1, 3), "float32"))
    assert internals.dense_kernel(layer.inner) is kernel, "`Dense._kernel` changes with an adapter"
    difference = keras.ops.convert_to_numpy(layer.inner.kernel - kernel)
    assert np.abs(difference).max() > 0, "`Dense.kernel` no longer is the sum with the adapter"


def test_stop_tracking(layer):
    internals.stop_tracking(layer.inner, layer.inner.bias)
    assert len(layer.inner.weights) == 1, "`Layer._untrack_variable` no longer removes a variable"


def test_forget_declared():
    dense = keras.layers.Dense(3)
    with keras.StatelessScope():
        dense.build((None, 2))
        internals.forget_declared()
    assert internals.held_value(dense.bias) is None, (
        "Keras no longer lists what a scope declared in `uninitialized_variables`"
    )


def test_current_path(layer):
    layer(np.ones((1, 2), "float32"))
    assert layer.path_seen == layer.name, "`current_path` no longer names the layer that runs"


def test_keras_saveable(tmp_path):
    class Kept(internals.KerasSaveable):
        def _obj_type(self):
            return "Layer"

        def save_own_variables(self, store):
            store["number"] = np.float32(5)

        def load_own_variables(self, store):
            self.number = float(store["number"][()])

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.kept = Kept()
    model.save_weights(tmp_path / "a.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5")
    assert model.kept.number == 5, "Keras no longer saves what is a `KerasSaveable`"


def test_record_loss():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model._loss_tracker.reset_state()
    internals.record_loss(model, keras.ops.convert_to_tensor(2.0))
    logs = model.get_metrics_result()
    assert float(logs["loss"]) == 2, "`_loss_tracker` no longer holds the loss that `fit` logs"


def test_leave_tensorflow_out():
    module = internals.module_utils.tensorflow
    internals.leave_tensorflow_out()
    kind = "LazyModule" if BACKEND == "tensorflow" else "_ImportedTensorFlow"
    assert type(module).__name__ == kind
    source = inspect.getsource(keras.utils.set_random_seed)
    assert "tf.available" in source, "Keras asks otherwise whether TensorFlow is there"


# Optimizers.


def stepped(kind=keras.optimizers.AdamW, mixin=None, steps=1, **options):
    """Returns an optimizer, built and stepped, and its weights."""
    weights = [keras.Variable(np.ones(2, "float32"), name=n) for n in "ab"]
    optimizer = kind(learning_rate=0.1, **options)
    optimizer.build(weights)
    if mixin is not None:
        optimizers.become(optimizer, mixin)
    for _ in range(steps):
        gradients = [keras.ops.ones((2,)), keras.ops.ones((2,))]
        optimizer.apply(gradients, weights)
    return optimizer, weights


def test_weights_of():
    optimizer, weights = stepped()
    assert [w.name for w in optimizers.weights_of(optimizer)] == ["a", "b"], (
        "optimizers no longer keep their weights in `_trainable_variables`"
    )
    assert all(a is b for a, b in zip(optimizers.weights_of(optimizer), weights, strict=True))


def test_key_of():
    optimizer, (a, b) = stepped()
    assert optimizers.key_of(optimizer, a) != optimizers.key_of(optimizer, b), (
        "`_var_key` no longer tells weights apart"
    )


def test_decays():
    weights = [keras.Variable(np.ones(2, "float32"), name=n) for n in ("kernel", "bias")]
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(weights)
    assert [optimizers.decays(optimizer, w) for w in weights] == [True, False], (
        "`_use_weight_decay` no longer knows what was excluded"
    )


def test_hooks_are_called():
    called = set()

    def noting(name):
        def method(self, *args):
            called.add(name)
            return getattr(super(Noting, self), name)(*args)

        return method

    class Noting:
        pass

    for name in optimizers.HOOKS:
        setattr(Noting, name, noting(name))
    stepped(mixin=Noting, weight_decay=0.1, clipnorm=1.0)
    expected = set(optimizers.HOOKS) - ({"_parallel_update_step"} if BACKEND != "torch" else set())
    assert called == expected, f"Keras no longer calls {sorted(expected - called)} in a step"


def test_become():
    class Mixin:
        marked = True

    optimizer, _ = stepped(mixin=Mixin)
    assert optimizer.marked and isinstance(optimizer, keras.optimizers.AdamW)
    assert type(optimizer).__name__ == "AdamW", "the class of an optimizer cannot be replaced"


@on_tensorflow
def test_parts_of_a_step():
    plain, (wanted, _) = stepped(gradient_accumulation_steps=2, steps=2, clipnorm=1.0)
    optimizer, weights = stepped(gradient_accumulation_steps=2, steps=0, clipnorm=1.0)
    gradients = [keras.ops.ones((2,)), keras.ops.ones((2,))]
    slots = optimizers.accumulators(optimizer, weights)
    optimizers.accumulate(optimizer, gradients, slots)
    assert (slots[0].numpy() == 1).all(), "`_accumulated_gradients` no longer holds the sums"
    optimizers.count_step(optimizer)
    optimizers.update(optimizer, gradients, weights)
    optimizers.count_step(optimizer)
    assert optimizers.steps_made(optimizer) == optimizers.steps_made(plain) == 2, (
        "`_iterations` no longer counts batches"
    )
    np.testing.assert_allclose(
        weights[0].numpy(), wanted.numpy(), rtol=1e-6, err_msg="`apply` does other things in a step"
    )


@on_tensorflow
def test_take_sums():
    assert "_all_reduce_sum_gradients" in inspect.getsource(
        inspect.getmodule(keras.optimizers.Optimizer.__mro__[1]).TFOptimizer
    ), "Keras sums gradients over replicas elsewhere"


# PyTorch.


@on_torch
def test_attention_on_a_cpu():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from atmorep_k.backend.internals.torch import attention_on_a_cpu

    seen = []

    def note(*args, out_shape=None, **kwargs):
        seen.append(args[0])
        return 1

    counter = FlopCounterMode(
        display=False, custom_mapping=dict.fromkeys(attention_on_a_cpu(), note)
    )
    query = torch.ones(1, 2, 4, 8, requires_grad=True)
    with counter:
        torch.nn.functional.scaled_dot_product_attention(query, query, query).sum().backward()
    assert len(seen) == 2, "PyTorch runs attention on a CPU by other operators"


@on_torch
def test_read_of_one_number():
    import torch

    from atmorep_k.backend.internals.torch import TorchDispatchMode, read_of_one_number

    seen = []

    class Noting(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(function)
            return function(*args, **(kwargs or {}))

    with Noting():
        torch.ones(1).item()
    assert read_of_one_number() in seen, "`Tensor.item` runs another operator"


@on_torch
def test_key_of_storage():
    import torch

    from atmorep_k.backend.internals.torch import FakeTensorMode, key_of_storage

    with FakeTensorMode():
        one, other = torch.ones(4), torch.ones(4)
        assert key_of_storage(one) == key_of_storage(one[1:].view(-1)) != key_of_storage(other), (
            "`_cdata` no longer tells the storages of tensors without values apart"
        )


@on_torch
def test_follow_values(layer):
    import torch

    from atmorep_k.backend.internals.torch import follow_values

    made = torch.nn.Parameter(torch.zeros(2))
    internals.put_value(layer.scale, made)
    follow_values([layer])
    assert any(p is made for p in layer.parameters()), (
        "layers no longer list their parameters in `_torch_params`, made by `_track_variables`"
    )


# TensorFlow.


@on_tensorflow
def test_loop_body():
    import tensorflow as tf

    from atmorep_k.backend.internals.tensorflow import loop_body

    @tf.function
    def loop(x):
        return tf.while_loop(lambda n, y: n < 3, lambda n, y: (n + 1, y @ y), [0, x])

    graph = loop.get_concrete_function(tf.TensorSpec((2, 2))).graph
    (operation,) = [o for o in graph.get_operations() if o.type in ("While", "StatelessWhile")]
    kinds = [o.type for o in loop_body(operation).get_operations()]
    assert "MatMul" in kinds, "`while_v2._get_graph` no longer returns the body of a loop"


@on_tensorflow
def test_take_identity():
    import tensorflow as tf

    from atmorep_k.backend.internals.tensorflow import take_identity

    one, other = tf.Variable(0.0), tf.Variable(0.0)
    take_identity(one, other)
    weights = [keras.Variable(np.zeros((), "float32")) for _ in range(2)]
    internals.put_value(weights[0], one)
    internals.put_value(weights[1], other)
    optimizer = keras.optimizers.SGD()
    keys = {optimizers.key_of(optimizer, weight) for weight in weights}
    assert len(keys) == 1, "Keras no longer finds the slots of a weight by `_unique_id`"


@on_tensorflow
def test_plain_errors():
    from tensorflow.python.framework import error_interpolation

    from atmorep_k.backend.internals.tensorflow import plain_errors

    with plain_errors():
        assert error_interpolation.parse_message("{{node a}}") == ("{{node a}}", [], [])
    assert error_interpolation.parse_message("{{node a}}")[2], (
        "`error_interpolation.parse_message` no longer searches the texts of errors"
    )


# xarray.


def test_lazy_values():
    import xarray as xr

    from atmorep_k.data.stores.lazy_arrays import LazyArray

    keys = []

    class Counting(LazyArray):
        def _read(self, key):
            keys.append(key)
            return np.arange(12, dtype="float32").reshape(3, 4)[key]

    array = xr.DataArray(xr.Variable(("a", "b"), Counting((3, 4)).lazy()))
    chosen = array.isel(a=[2, 0], b=slice(1, 3))
    assert not keys, "xarray reads values before they are used"
    np.testing.assert_array_equal(chosen.values, [[9, 10], [1, 2]])
    kinds = {type(part) for key in keys for part in key}
    assert kinds <= {int, slice, np.int64}, "xarray asks for more than integers and slices"
