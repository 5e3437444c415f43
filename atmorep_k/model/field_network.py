"""All that a model has of one field: from its tokens to the members predicted for masked ones."""

import functools
from collections.abc import Mapping

import keras
from keras import ops

from atmorep_k.batch import TOKEN_INFO
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec
from atmorep_k.model.templates import Templates
from atmorep_k.model.tokens import masked_tokens, visible_first
from atmorep_k.registry import clone


class FieldNetwork(keras.layers.Layer):
    """The layers of one field, made from a model's templates.

    Each role is an attribute: `tokenizer`, `token_info`, `position`, `encoder` (with the couplers
    that read other fields) and, of a predicted field, `decoder`, `tail` and perhaps `first_guess`.
    A model runs the encoders of all fields layer by layer (`step`), the rest field by field.

    Weights are called `<role>/<field>/...`, so that patterns can choose a role of all fields. In
    files they are grouped by field and attribute, never by position.

    Args:
        field: what the network is of.
        templates: of the model.
        couplings: field -> spec of those that this one attends to.
        encode: see `AtmoRep`.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        UserError: when it is built, where the field has too few channels.
    """

    def __init__(
        self,
        field: FieldSpec,
        templates: Templates,
        couplings: Mapping[str, FieldSpec],
        encode: str,
        **kwargs,
    ):
        super().__init__(name=field.name, autocast=False, **kwargs)
        self.field = field
        self.encode = encode
        self._templates = templates
        self._couplings = dict(couplings)
        self.decoder: keras.layers.Layer | None = None
        self.tail: keras.layers.Layer | None = None
        self.first_guess: keras.layers.Layer | None = None

    def parts(self) -> dict[str, keras.layers.Layer]:
        """Returns role -> layer, in the order in which they are made.

        No property: Keras would save what it holds by position.
        """
        roles = ("tokenizer", "token_info", "position", "encoder", "decoder", "tail", "first_guess")
        layers = {role: getattr(self, role) for role in roles}
        return {role: layer for role, layer in layers.items() if layer is not None}

    def build(self, input_shape=None):
        """Makes all layers; their shapes follow from the field, so no input is needed."""
        field, grid = self.field, (None, len(self.field.levels), *self.field.num_tokens)
        tokens, sequence = (*grid, field.token_values), _sequence(field, self.encode)
        info_dim = self._templates.of("token_info", field.name).embed_dim
        if not 0 < info_dim < field.embed_dim:
            raise UserError(
                f"field {field.name!r}: embed_dim {field.embed_dim} must exceed the "
                f"{info_dim} channels of the token information."
            )
        width = field.embed_dim - info_dim
        self.tokenizer = self._made("tokenizer", tokens, embed_dim=width)
        self.token_info = self._made("token_info", (*grid, len(TOKEN_INFO)))
        self.position = self._made("position", (*grid, field.embed_dim))
        self.encoder = self._made("encoder", sequence)
        if not field.predicted:
            return
        self.decoder = self._made("decoder", sequence, [sequence] * self.encoder.num_layers)
        shape = (None, len(field.levels), None, field.embed_dim)
        self.tail = self._made("tail", shape, token_values=field.token_values)
        if self._templates.of("first_guess", field.name) is not None:
            self.first_guess = self._made("first_guess", tokens, token_size=field.token_size)

    def _made(self, role: str, *shapes, **changes) -> keras.layers.Layer:
        template = self._templates.of(role, self.field.name)
        layer = clone(template, name=self.field.name, dtype=self.dtype_policy, **changes)
        if role == "encoder" and self._couplings:
            others = {name: _sequence(f, self.encode) for name, f in self._couplings.items()}
            coupler = self._templates.of("coupler", self.field.name)
            layer.couple(others, functools.partial(clone, coupler))
        # Paths are `<role>/<field>`, where Keras would make them `<field>/<role>/<field>`.
        with keras.name_scope(role, override_parent=self.path.rpartition("/")[0]):
            layer.build(*shapes)
        return layer

    def learns(self, role: str) -> bool:
        """Tells whether a part has weights that are trained."""
        part = self.parts().get(role)
        return bool(part and part.trainable_variables)

    def embed(self, inputs):
        """Returns the embedded tokens, (batch, level, time, space, channel).

        Unless `encode = "all"`: (batch, token, channel).
        """
        name, tokens = self.field.name, inputs[f"{self.field.name}/tokens"]
        values = self.tokenizer(self.first_guess(tokens) if self.first_guess else tokens)
        info = self.token_info(inputs[f"{name}/token_info"])
        embedded = ops.concatenate([values, ops.cast(info, values.dtype)], axis=-1)
        embedded = self.position(embedded)
        return ops.reshape(embedded, (-1, *_sequence(self.field, self.encode)[1:]))

    def visible(self, embedded, inputs):
        """Returns the embedded tokens that are not masked, and what `start` needs to undo that.

        Args:
            embedded: (batch, token, channel).
            inputs: of the model.
        """
        masked = inputs[f"{self.field.name}/masked_index"]
        chosen, places = visible_first(masked, self.field.tokens_per_level)
        return ops.take_along_axis(embedded, chosen[..., None], axis=1), places

    def start(self, encoded, embedded, places):
        """Returns what the decoder begins with where it is the first to see masked tokens.

        Args:
            encoded: (batch, visible, channel), output of the encoder.
            embedded: (batch, token, channel), of all tokens.
            places: what `visible` returned.
        """
        masked = ops.take_along_axis(embedded, places["hidden"][..., None], axis=1)
        if self.encode == "apart":
            return masked
        both = ops.concatenate([encoded, masked], axis=1)
        return ops.take_along_axis(both, places["order"][..., None], axis=1)

    def step(self, state, others, number: int, training=False):
        """Returns the output of one layer of the encoder.

        Args:
            state: output of the layer before.
            others: field -> its state before the layer, of fields that this one attends to.
            number: of the layer.
            training: whether dropout acts, if the encoder learns.
        """
        return self.encoder.step(number, state, others, training and self.learns("encoder"))

    def predict(self, start, encoded, inputs, training=False):
        """Returns the members (batch, level, masked, member, value) of the masked tokens.

        Args:
            start: what the decoder begins with.
            encoded: outputs of the encoder's layers.
            inputs: of the model.
            training: whether dropout acts, if the decoder learns.
        """
        assert self.decoder is not None and self.tail is not None, "predicts nothing"
        masked = inputs[f"{self.field.name}/masked_index"]
        training = training and self.learns("decoder")
        decoded = self.decoder(start, encoded, training=training)
        if self.encode == "apart":
            hidden = ops.reshape(decoded, (-1, *masked.shape[1:], decoded.shape[-1]))
        else:
            hidden = masked_tokens(self.field, decoded, masked)
        members = self.tail(hidden)
        return self._departed(members, inputs, masked) if self.first_guess else members

    def _departed(self, members, inputs, masked):
        """Returns the members as departures from the first guess."""
        assert self.first_guess is not None
        tokens = inputs[f"{self.field.name}/tokens"]
        guess, sigma = (
            masked_tokens(self.field, values, masked)[..., None, :]
            for values in (self.first_guess(tokens), self.first_guess.departures(tokens))
        )
        return guess + sigma * members


def _sequence(field: FieldSpec, encode: str) -> tuple[int | None, ...]:
    """Returns the shape of a field's embedded tokens, without the axes of place."""
    levels, times = len(field.levels), field.num_tokens[0]
    if encode != "all":
        return (None, levels * field.tokens_per_level, field.embed_dim)
    return (None, levels, times, field.tokens_per_level // times, field.embed_dim)
