"""The model: registered components put together for given fields."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from atmorep_k.backend import replicas
from atmorep_k.backend.replicas import is_random_state
from atmorep_k.backend.weight_paths import check, matches, within
from atmorep_k.batch import TOKEN_INFO
from atmorep_k.errors import UserError, unknown
from atmorep_k.fields import FieldSpec, check_hours
from atmorep_k.model import dataflow
from atmorep_k.model.templates import Templates
from atmorep_k.model.tokens import masked_tokens, token_latitudes, visible_first
from atmorep_k.registry import clone, component

STATISTICS_FILE = "statistics.npz"


@component("model")
class AtmoRep(keras.Model):
    """Probabilistic transformer of atmospheric fields, p(hidden tokens | visible tokens, place).

    Lessig et al. 2023, arXiv:2308.13280. Each component given here is a template: the model makes
    one of its kind for every field, with the sizes that the field asks for.

    Args:
        fields: the fields, all with the same hours, at least one of them predicted.
        tokenizer: embeds the values of tokens.
        token_info: embeds time, place and resolution of tokens.
        position: marks a token's place in the window.
        encoder: transforms all tokens of a field, returns every layer's output.
        decoder: transforms them further, looking back at the encoder's layers.
        tail: predicts an ensemble of values for the masked tokens.
        normalizer: makes values of a field comparable, and undoes it.
        coupler: lets a field attend to another; needed where a field has couplings.
        first_guess: what stands in for the values of hidden tokens, and what the members depart
            from; None: 0, the climatology.
        encode: `"all"` tokens, or only those that are `"visible"`: hidden ones then enter at the
            decoder, which makes training with high masking ratios cheap (He et al. 2022,
            arXiv:2111.06377). With `"apart"` the decoder has the hidden ones only, which look back
            at the encoder by its cross attention alone (Fu et al. 2024, arXiv:2401.14391).
        parts: field -> role (`"encoder"`, ...) -> component that this field has of its own.
        freeze: patterns of the paths of weights that are not trained, see
            `atmorep_k.backend.weight_paths`.
        provenance: what the model remembers of its data and software; set by the training.

    Shapes:
        input: see `atmorep_k.batch`
        output: {field: (batch, level, masked, member, value)}, normalised values

    Raises:
        UserError: where fields repeat or see different hours, a coupled field is missing, or
            nothing is predicted; and, when it is built, for a pattern that freezes nothing.
    """

    def __init__(
        self,
        fields: Sequence[FieldSpec],
        tokenizer: keras.layers.Layer,
        token_info: keras.layers.Layer,
        position: keras.layers.Layer,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        tail: keras.layers.Layer,
        normalizer: Any,
        coupler: keras.layers.Layer | None = None,
        first_guess: keras.layers.Layer | None = None,
        encode: Literal["all", "visible", "apart"] = "all",
        parts: dict[str, dict[str, Any]] | None = None,
        freeze: Sequence[str] = (),
        provenance: dict | None = None,
        name: str = "atmorep",
        **kwargs,
    ):
        # Half precision would lose the year and the place of tokens; each part casts for itself.
        super().__init__(name=name, autocast=False, **kwargs)
        self.fields = list(fields)
        common = {
            "tokenizer": tokenizer,
            "token_info": token_info,
            "position": position,
            "encoder": encoder,
            "decoder": decoder,
            "tail": tail,
            "normalizer": normalizer,
            "coupler": coupler,
            "first_guess": first_guess,
        }
        self.templates = Templates(common, parts, [f.name for f in self.fields])
        self.encode = encode
        self.freeze = tuple(freeze)
        self.provenance = dict(provenance or {})
        self.normalizers = {
            f.name: clone(self.templates.of("normalizer", f.name)) for f in self.fields
        }
        self.learning = [f.name for f in self.predicted]
        self.batch_loss = LastValue(name="batch_loss")
        self._check()

    def _check(self) -> None:
        names = [f.name for f in self.fields]
        if not names or len(set(names)) != len(names):
            raise UserError(f"a model needs one or more different fields, not {names}.")
        check_hours(self.fields)
        for field in self.fields:
            for other in field.couplings:
                if other not in names:
                    raise unknown(f"field that {field.name!r} attends to", other, names)
            if field.couplings and self.templates.of("coupler", field.name) is None:
                raise UserError(
                    f"field {field.name!r} attends to others, but AtmoRep.coupler is None."
                )
        if not self.predicted:
            raise UserError(f"none of the fields {names} is predicted.")

    @property
    def predicted(self) -> list[FieldSpec]:
        """The fields that the model predicts; the others are input only."""
        return [f for f in self.fields if f.predicted]

    def part(self, role: str, field: str) -> keras.layers.Layer:
        """Returns the layer that plays a role (`"encoder"`, ...) for a field."""
        return getattr(self, f"field_{field}_{role}")

    def at(self, field: str, function, *states):
        """Runs a function of a field's layers on the field's device, and returns what it returns.

        There is one device, unless an engine that places fields replaces this method.

        Args:
            field: name of the field.
            function: takes the states; makes layers if there are none.
            states: arrays, or lists and dicts of them, that gradients flow through.
        """
        return function(*states)

    def build(self, input_shape=None):
        """Makes all layers; their shapes follow from the fields, so no input is needed."""
        for field in self.fields:
            self.at(field.name, functools.partial(self._build_field, field))
        self.built = True
        self.set_freeze(self.freeze)

    def set_freeze(self, patterns: Sequence[str]) -> None:
        """Freezes exactly the weights that patterns match; compile anew to train the others.

        Args:
            patterns: see `atmorep_k.backend.weight_paths`.

        Raises:
            UserError: where one of them matches no weight.
        """
        check(patterns, [within(w.path) for w in self.weights], "weight to freeze")
        self.freeze = tuple(patterns)
        for weight in self.weights:
            weight.trainable = not matches(within(weight.path), self.freeze)

    def learns(self, role: str, field: str) -> bool:
        """Tells whether a field's part has weights that are trained."""
        part = getattr(self, f"field_{field}_{role}", None)
        return bool(part and part.trainable_variables)

    def _build_field(self, field: FieldSpec) -> None:
        info_dim = self.templates.of("token_info", field.name).embed_dim
        if not 0 < info_dim < field.embed_dim:
            raise UserError(
                f"field {field.name!r}: embed_dim {field.embed_dim} must exceed the "
                f"{info_dim} channels of the token information."
            )
        grid = (None, len(field.levels), *field.num_tokens)
        self._add(
            field, "tokenizer", (*grid, field.token_values), embed_dim=field.embed_dim - info_dim
        )
        self._add(field, "token_info", (*grid, len(TOKEN_INFO)))
        self._add(field, "position", (*grid, field.embed_dim))
        sequence = self._sequence(field)
        encoder = self._add(field, "encoder", sequence)
        if field.predicted:
            self._add(field, "decoder", sequence, [sequence] * encoder.num_layers)
            shape = (None, len(field.levels), None, field.embed_dim)
            self._add(field, "tail", shape, token_values=field.token_values)
            if self.templates.of("first_guess", field.name) is not None:
                tokens = (*grid, field.token_values)
                self._add(field, "first_guess", tokens, token_size=field.token_size)

    def _add(self, field: FieldSpec, role: str, *shapes, **changes) -> keras.layers.Layer:
        # Named by field: a container would be saved by position, and fields in another order
        # would then swap their weights without an error. Keras saves attributes in the order
        # of their names, `layers` (a container of all) among them: these must come before it.
        dtype = self.dtype_policy
        template = self.templates.of(role, field.name)
        layer = clone(template, name=field.name, dtype=dtype, **changes)
        if role == "encoder" and field.couplings:
            others = {f.name: self._sequence(f) for f in self.fields if f.name in field.couplings}
            coupler = self.templates.of("coupler", field.name)
            layer.couple(others, functools.partial(clone, coupler))
        setattr(self, f"field_{field.name}_{role}", layer)
        with keras.name_scope(role):
            layer.build(*shapes)
        return layer

    def _sequence(self, field: FieldSpec) -> tuple[int | None, ...]:
        """Returns the shape of a field's embedded tokens, without the axes of place."""
        levels, times = len(field.levels), field.num_tokens[0]
        if self.encode != "all":
            return (None, levels * field.tokens_per_level, field.embed_dim)
        return (None, levels, times, field.tokens_per_level // times, field.embed_dim)

    def call(self, inputs, training=False):
        """Returns the members predicted for the masked tokens of every predicted field.

        In a training step only of the fields that the training can change (`learning`), and no
        part of the network is run that these do not need.
        """
        wanted = self.learning if training else [f.name for f in self.predicted]
        read = dataflow.embedded(self.fields, wanted)
        embed = {f.name: functools.partial(self.embed, f) for f in self.fields if f.name in read}
        embedded = {name: self.at(name, function, inputs) for name, function in embed.items()}
        starts, encoded = self.encode_fields(embedded, inputs, training, wanted)
        return {
            f.name: self._predict(f, starts[f.name], encoded[f.name], inputs, training)
            for f in self.predicted
            if f.name in wanted
        }

    def embed(self, field: FieldSpec, inputs):
        """Returns the embedded tokens of a field, (batch, level, time, space, channel).

        Unless `encode = "all"`: (batch, token, channel).
        """
        name = field.name
        values = self.part("tokenizer", name)(self._seen(field, inputs))
        info = self.part("token_info", name)(inputs[f"{name}/token_info"])
        embedded = ops.concatenate([values, ops.cast(info, values.dtype)], axis=-1)
        embedded = self.part("position", name)(embedded)
        return ops.reshape(embedded, (-1, *self._sequence(field)[1:]))

    def _first_guess(self, field: FieldSpec) -> keras.layers.Layer | None:
        return getattr(self, f"field_{field.name}_first_guess", None)

    def _seen(self, field: FieldSpec, inputs):
        """Returns the values of a field's tokens, of hidden ones the first guess."""
        tokens, guess = inputs[f"{field.name}/tokens"], self._first_guess(field)
        return guess(tokens) if guess else tokens

    def encode_fields(self, embedded, inputs, training=False, wanted=None):
        """Returns, by field, the decoder's input and the outputs of all layers of the encoder.

        Args:
            embedded: field -> its embedded tokens; fields that are left out are not encoded.
            inputs: of the model.
            training: whether dropout acts, in parts that are trained.
            wanted: names of the fields to predict; the encoders of others are run as far as these
                read them. None: all encoders are run to their end.

        Where the inputs name no masked tokens, nothing is hidden and all tokens are encoded.
        """
        wanted = list(embedded) if wanted is None else wanted
        if self.encode == "all" or not any(name.endswith("/masked_index") for name in inputs):
            encoded = self._run_encoders(embedded, training, wanted)
            return {name: states[-1] for name, states in encoded.items() if states}, encoded
        places, visible = {}, dict(embedded)
        for field in self.predicted:
            if field.name in embedded:
                name, masked = field.name, inputs[f"{field.name}/masked_index"]
                chosen, places[name] = visible_first(masked, field.tokens_per_level)
                visible[name] = ops.take_along_axis(embedded[name], chosen[..., None], axis=1)
        encoded = self._run_encoders(visible, training, wanted)
        starts = {}
        for name, back in places.items():
            if name not in wanted:
                continue
            hidden = ops.take_along_axis(embedded[name], back["hidden"][..., None], axis=1)
            if self.encode == "apart":
                starts[name] = hidden
                continue
            both = ops.concatenate([encoded[name][-1], hidden], axis=1)
            starts[name] = ops.take_along_axis(both, back["order"][..., None], axis=1)
        return starts, encoded

    def _run_encoders(self, states, training, wanted):
        """Returns the outputs of all layers by field; each layer reads what was before it."""
        states, encoded = dict(states), {name: [] for name in states}
        needed = dataflow.layers_needed(self.fields, wanted, self._depth)
        for number in range(max(needed.values())):
            before = dict(states)
            for field in self.fields:
                if number < needed[field.name]:
                    states[field.name] = self._layer(field, number, before, training)
                    encoded[field.name].append(states[field.name])
        return encoded

    def _depth(self, field: str) -> int:
        return self.part("encoder", field).num_layers

    def _layer(self, field, number, states, training):
        others = {name: states[name] for name in field.couplings}
        encoder = self.part("encoder", field.name)
        training = training and self.learns("encoder", field.name)
        step = functools.partial(encoder.step, number, training=training)
        return self.at(field.name, step, states[field.name], others)

    def _predict(self, field, start, encoded, inputs, training):
        name, masked = field.name, inputs[f"{field.name}/masked_index"]
        training = training and self.learns("decoder", name)

        def predict(start, encoded):
            decoded = self.part("decoder", name)(start, encoded, training=training)
            if self.encode == "apart":
                hidden = ops.reshape(decoded, (-1, *masked.shape[1:], decoded.shape[-1]))
            else:
                hidden = masked_tokens(field, decoded, masked)
            members = self.part("tail", name)(hidden)
            if guess := self._first_guess(field):
                tokens = inputs[f"{name}/tokens"]
                start, sigma = (
                    masked_tokens(field, values, masked)[..., None, :]
                    for values in (guess(tokens), guess.departures(tokens))
                )
                members = start + sigma * members
            return members

        return self.at(name, predict, start, encoded)

    def compile(self, optimizer, loss, **kwargs):
        """Takes an optimiser and an ensemble loss (`compute_loss` applies it field by field).

        Raises:
            UserError: where all weights are frozen.
        """
        super().compile(optimizer=optimizer, **kwargs)
        self.objective = loss
        if self.built:
            self._find_learning()

    def _find_learning(self) -> None:
        moving = dataflow.moving(self.fields, self.learns)
        self.learning = [
            f.name
            for f in self.predicted
            if f.name in moving or self.learns("decoder", f.name) or self.learns("tail", f.name)
        ]
        if not self.learning:
            raise UserError(
                f"nothing is left to train: AtmoRep.freeze = {list(self.freeze)} freezes all that "
                f"a prediction depends on."
            )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of all fields that learn, weighted by their `loss_weight`.

        Of replicas that share a batch (`atmorep_k.backend.replicas`) each returns that of the
        whole batch.
        """
        total, fields = 0.0, [f for f in self.predicted if f.name in self.learning]
        for field in fields:
            name = field.name
            latitude = token_latitudes(field, x[f"{name}/token_info"], x[f"{name}/masked_index"])
            loss = self.objective(y[name], y_pred[name], sample_weight[name], latitude=latitude)
            total = total + field.loss_weight * loss
        total = total / sum(f.loss_weight for f in fields)
        for penalty in self.losses:
            total = total + ops.cast(penalty, total.dtype) / replicas.count()
        total = replicas.share(total)
        self.batch_loss.update_state(total)
        return total

    def get_config(self):
        """Returns all that makes the architecture, fields included; weights are not in it."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "fields": [serialize(f) for f in self.fields],
            **self.templates.get_config(),
            "encode": self.encode,
            "freeze": list(self.freeze),
            "provenance": self.provenance,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns the model that `get_config` described."""
        plain = ("name", "dtype", "trainable", "encode", "freeze", "provenance")
        objects = {
            key: value if key in plain else keras.saving.deserialize_keras_object(value)
            for key, value in config.items()
        }
        objects["dtype"] = keras.dtype_policies.get(config.get("dtype"))
        return cls(**objects)

    def get_build_config(self):
        """Returns nothing needed: shapes follow from the fields."""
        return {"fields": [f.name for f in self.fields]}

    def build_from_config(self, config):
        """Builds a model that is being loaded."""
        self.build()

    def get_compile_config(self):
        """Saves nothing of the compilation: an optimiser of one backend fails on another."""
        return None

    def save_own_variables(self, store):
        """Saves the states of dropout, which Keras leaves out and a resumed training needs."""
        for number, state in enumerate(self._random_states()):
            store[f"random_{number}"] = state

    def load_own_variables(self, store):
        """Takes up the states of dropout, as far as the file has them."""
        for number, state in enumerate(self._random_states()):
            if f"random_{number}" in store.keys():  # noqa: SIM118 (no mapping)
                state.assign(store[f"random_{number}"])

    def _random_states(self):
        return [v for v in self.non_trainable_variables if is_random_state(v)]

    def save_assets(self, directory):
        """Puts each field's normalisation statistics beside the weights."""
        arrays = {
            f"{name}/{key}": value
            for name, normalizer in self.normalizers.items()
            for key, value in normalizer.state().items()
        }
        np.savez_compressed(Path(directory) / STATISTICS_FILE, **arrays)

    def load_assets(self, directory):
        """Takes up the statistics that `save_assets` wrote."""
        with np.load(Path(directory) / STATISTICS_FILE) as arrays:
            for name, normalizer in self.normalizers.items():
                state = {k.split("/", 1)[1]: arrays[k] for k in arrays if k.split("/")[0] == name}
                if state:
                    normalizer.load_state(state)


@keras.saving.register_keras_serializable("atmorep_k")
class LastValue(keras.metrics.Metric):
    """Keeps the last value it was given: the loss of one batch, where Keras reports a mean."""

    def __init__(self, name="last_value", **kwargs):
        super().__init__(name=name, **kwargs)
        # Replicas of a batch all have its loss.
        self.value = self.add_variable((), "zeros", name="value", aggregation="mean")

    def update_state(self, value):
        """Takes the new value."""
        self.value.assign(ops.cast(value, self.value.dtype))

    def result(self):
        """Returns the last value."""
        return ops.copy(self.value)
