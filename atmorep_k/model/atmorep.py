"""The model: registered components put together for given fields."""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from atmorep_k.backend import replicas
from atmorep_k.backend.weight_paths import check_patterns, matches, path_in_model
from atmorep_k.errors import UserError, unknown
from atmorep_k.fields import FieldSpec, check_hours
from atmorep_k.model import dataflow
from atmorep_k.model.field_network import FieldNetwork
from atmorep_k.model.keras_file import FORMAT, KerasFile
from atmorep_k.model.templates import Templates
from atmorep_k.model.tokens import token_latitudes
from atmorep_k.registry import clone, component


@component("model")
class AtmoRep(KerasFile, keras.Model):
    """Probabilistic transformer of atmospheric fields, p(masked tokens | visible tokens, place).

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
        first_guess: what stands in for the values of masked tokens, and what the members depart
            from; None: 0, the climatology.
        encode: `"all"` tokens, or only those that are `"visible"`: masked ones then enter at the
            decoder, which makes training with high masking ratios cheap (He et al. 2022,
            arXiv:2111.06377). With `"apart"` the decoder has the masked ones only, which look back
            at the encoder by its cross attention alone (Fu et al. 2024, arXiv:2401.14391).
        parts: field -> role (`"encoder"`, ...) -> component that this field has of its own.
        freeze: patterns of the paths of weights that are not trained, see
            `atmorep_k.backend.weight_paths`.
        provenance: what the model remembers of its data and software; set by the training.

    Shapes:
        input: see `atmorep_k.batch`
        output: {field: (batch, level, masked, member, value)}, normalised values

    Raises:
        UserError: if fields repeat or see different hours, a coupled field is missing, or
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
        self.networks: dict[str, FieldNetwork] = {}
        self.format_read = FORMAT
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
                    f"field {field.name!r} attends to others, but AtmoRep.coupler is not set."
                )
        if not self.predicted:
            raise UserError(f"none of the fields {names} is predicted.")

    @property
    def predicted(self) -> list[FieldSpec]:
        """The fields that the model predicts; the others are input only."""
        return [f for f in self.fields if f.predicted]

    def part(self, role: str, field: str) -> keras.layers.Layer:
        """Returns the layer that plays a role (`"encoder"`, ...) for a field."""
        return self.networks[field].parts()[role]

    def at(self, field: str, function, *states):
        """Runs a function of a field's layers on the field's device, and returns what it returns.

        There is one device, unless an engine that places fields replaces this method.

        Args:
            field: name of the field.
            function: takes the states; makes layers if none exist.
            states: arrays, or lists and dicts of them, that gradients flow through.
        """
        return function(*states)

    def build(self, input_shape=None):
        """Makes the networks of all fields; shapes follow from these, so no input is needed."""
        for field in self.fields:
            # Named by field: a container would be saved by position, and fields in another order
            # would then swap their weights without an error. Keras saves attributes in the order
            # of their names, so `field_...` comes before `layers` and `networks`, which hold all.
            couplings = {f.name: f for f in self.fields if f.name in field.couplings}
            network = FieldNetwork(
                field, self.templates, couplings, self.encode, dtype=self.dtype_policy
            )
            setattr(self, f"field_{field.name}", network)
            self.networks[field.name] = network
            self.at(field.name, network.build)
        self.built = True
        self.set_freeze(self.freeze)

    def set_freeze(self, patterns: Sequence[str]) -> None:
        """Freezes exactly the weights that patterns match; compile again to train the others.

        Args:
            patterns: see `atmorep_k.backend.weight_paths`.

        Raises:
            UserError: if one of them matches no weight.
        """
        check_patterns(patterns, [path_in_model(w.path) for w in self.weights], "weight to freeze")
        self.freeze = tuple(patterns)
        for weight in self.weights:
            weight.trainable = not matches(path_in_model(weight.path), self.freeze)

    def learns(self, role: str, field: str) -> bool:
        """Tells whether a field's part has weights that are trained."""
        return self.networks[field].learns(role)

    def call(self, inputs, training=False):
        """Returns the members predicted for the masked tokens of every predicted field.

        In a training step only of the fields that the training can change (`learning`), and no
        part of the network is run that these do not need.
        """
        wanted = self.learning if training else [f.name for f in self.predicted]
        starts, encoded = self.encode_fields(self.embed(inputs, wanted), inputs, training, wanted)
        predict = {
            f.name: functools.partial(
                self.networks[f.name].predict, inputs=inputs, training=training
            )
            for f in self.predicted
            if f.name in wanted
        }
        return {
            name: self.at(name, function, starts[name], encoded[name])
            for name, function in predict.items()
        }

    def embed(self, inputs, wanted):
        """Return field -> embedded tokens, also of the fields that predictions of others read.

        Args:
            inputs: of the model.
            wanted: names of the fields to predict.
        """
        read = dataflow.embedded(self.fields, wanted)
        return {
            name: self.at(name, network.embed, inputs)
            for name, network in self.networks.items()
            if name in read
        }

    def encode_fields(self, embedded, inputs, training=False, wanted=None):
        """Returns, by field, the decoder's input and the outputs of all layers of the encoder.

        Args:
            embedded: field -> its embedded tokens; fields that are left out are not encoded.
            inputs: of the model.
            training: whether dropout acts, in parts that are trained.
            wanted: names of the fields to predict; the encoders of others are run as far as these
                read them. None: all encoders are run to their end.

        Where the inputs name no masked tokens, nothing is masked and all tokens are encoded.
        """
        wanted = list(embedded) if wanted is None else wanted
        if self.encode == "all" or not any(name.endswith("/masked_index") for name in inputs):
            encoded = self._run_encoders(embedded, training, wanted)
            return {name: states[-1] for name, states in encoded.items() if states}, encoded
        places, visible = {}, dict(embedded)
        for name in (f.name for f in self.predicted if f.name in embedded):
            visible[name], places[name] = self.networks[name].visible(embedded[name], inputs)
        encoded = self._run_encoders(visible, training, wanted)
        starts = {
            name: self.networks[name].start(encoded[name][-1], embedded[name], back)
            for name, back in places.items()
            if name in wanted
        }
        return starts, encoded

    def _run_encoders(self, states, training, wanted):
        """Returns the outputs of all layers by field; each layer reads what was before it."""
        states = dict(states)
        encoded: dict[str, list] = {name: [] for name in states}
        depth = {name: network.encoder.num_layers for name, network in self.networks.items()}
        needed = dataflow.layers_needed(self.fields, wanted, depth.__getitem__)
        for number in range(max(needed.values())):
            before = dict(states)
            for field in (f for f in self.fields if number < needed[f.name]):
                name, others = field.name, {other: before[other] for other in field.couplings}
                step = self.networks[name].step
                step = functools.partial(step, number=number, training=training)
                states[name] = self.at(name, step, before[name], others)
                encoded[name].append(states[name])
        return encoded

    def compile(self, optimizer, loss, **kwargs):
        """Takes an optimiser and an ensemble loss (`compute_loss` applies it field by field).

        Raises:
            UserError: if all weights are frozen.
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
        total: Any = 0.0  # an array after the first field
        fields = [f for f in self.predicted if f.name in self.learning]
        for field in fields:
            name = field.name
            latitude = token_latitudes(field, x[f"{name}/token_info"], x[f"{name}/masked_index"])
            loss = self.objective(y[name], y_pred[name], sample_weight[name], latitude=latitude)
            total = total + field.loss_weight * loss
        total = total / sum(f.loss_weight for f in fields)
        for penalty in self.losses:
            total = total + ops.cast(penalty, total.dtype) / replicas.count_replicas()
        total = replicas.share(total)
        self.batch_loss.update_state(total)
        return total


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
