"""What the JSON file of an original run says of its model, checked and with its gaps filled."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atmorep_k.errors import UserError, nearest

ATTENTION_TYPES = ("dense", "axial", "axial_parallel")
TOKEN_INFO_SIZE = 8

# What of the training an imported model remembers, and gives back when it is exported.
REMEMBERED = ("n_size", "BERT_strategy", "losses", "years_train")

# Options that older files lack, with what the original does then.
DEFAULTS: dict[str, Any] = {
    "time_sampling": 1,
    "size_token_info": TOKEN_INFO_SIZE,
    "size_token_info_net": 16,
    "learnable_mask": False,
    "with_layernorm": True,
    "with_qk_lnorm": False,
    "coupling_num_heads_per_field": 1,
    "dropout_rate": 0.0,
    "encoder_num_mlp_layers": 2,
    "encoder_att_type": "dense",
    "decoder_num_mlp_layers": 2,
    "decoder_self_att": False,
    "decoder_cross_att_ratio": 0.5,
    "decoder_cross_att_rate": 1.0,
    "decoder_att_type": "dense",
    "net_tail_num_layers": 0,
}
_REQUIRED = (
    "encoder_num_layers",
    "encoder_num_heads",
    "decoder_num_layers",
    "decoder_num_heads",
    "net_tail_num_nets",
)
_COUNTS = (
    *_REQUIRED,
    "time_sampling",
    "size_token_info",
    "size_token_info_net",
    "coupling_num_heads_per_field",
    "encoder_num_mlp_layers",
    "decoder_num_mlp_layers",
)
_FLAGS = ("learnable_mask", "with_layernorm", "with_qk_lnorm", "decoder_self_att")


@dataclasses.dataclass(frozen=True)
class OriginalField:
    """One entry of the list `fields`.

    Args:
        name: the original's name (`velocity_u`).
        embed_dim: channels of an embedded token.
        couplings: names of the fields that it attends to, in the order of their weights.
        levels: model levels; (0,) at the surface.
        num_tokens: tokens in (time, lat, lon).
        token_size: points of a token in (time, lat, lon).
        masking: rates [total, zeroed, noised, multi-resolution].
        is_local: whether it is normalised at each grid point.
        pretrained: (run, epoch) of the single-field model it started from, if any.
    """

    name: str
    embed_dim: int
    couplings: tuple[str, ...]
    levels: tuple[float, ...]
    num_tokens: tuple[int, int, int]
    token_size: tuple[int, int, int]
    masking: tuple[float, ...]
    is_local: bool
    pretrained: tuple[str, int] | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of an original run.

    Args:
        source: what to call them in messages.
        fields: all fields, in the order of their weights.
        weights: name -> loss weight of the predicted fields, in the order of their weights.
        options: name -> value of every option that shapes the model.
        assumed: names of the options that the file does not have.
        training: options that only training had a use for, as the file gives them.
    """

    source: str
    fields: tuple[OriginalField, ...]
    weights: dict[str, float]
    options: dict[str, Any]
    assumed: tuple[str, ...]
    training: dict[str, Any]

    def __getattr__(self, name):
        options = self.__dict__.get("options", {})
        if name in options:
            return options[name]
        raise AttributeError(name)

    def field(self, name: str) -> OriginalField:
        """Returns the field of a name."""
        return next(f for f in self.fields if f.name == name)


def read_settings(path: Path) -> Settings:
    """Reads `model_id<run>.json`.

    Raises:
        UserError: if the file is not such JSON or describes a model that cannot be built.
    """
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not a JSON file: {error}.") from error
    return parse_settings(values, str(path))


def parse_settings(values: Any, source: str) -> Settings:
    """Return the settings that a JSON file holds.

    Args:
        values: the decoded file.
        source: what to call it in messages.

    Raises:
        UserError: if an option is missing, of a wrong kind, or describes no model.
    """
    if not isinstance(values, Mapping) or "fields" not in values:
        raise UserError(
            f"{source} has no 'fields': it is not a configuration of the original AtmoRep."
        )
    fields = tuple(_field(entry, source) for entry in _entries(values["fields"], "fields", source))
    options = {name: _option(values, name, source) for name in (*_REQUIRED, *DEFAULTS)}
    settings = Settings(
        source,
        fields,
        _loss_weights(values, fields, source),
        options,
        tuple(name for name in DEFAULTS if name not in values and name != "learnable_mask"),
        {k: v for k, v in values.items() if k not in options and k not in _NOT_KEPT},
    )
    _check(settings)
    return settings


# Where a run lived and what it was called is nobody's business but its owner's.
_NOT_KEPT = ("fields", "fields_prediction", "file_path", "user_config", "data_dir", "slurm_job_id")


def _entries(value, name: str, source: str) -> Sequence:
    if not isinstance(value, list) or not value or not all(isinstance(e, list) for e in value):
        raise UserError(f"{source}: {name!r} must be a list of lists, not {value!r}.")
    return value


def _field(entry: list, source: str) -> OriginalField:
    try:
        name, network, levels, num_tokens, token_size, masking, *rest = entry
        words = [word for word in rest if isinstance(word, str)]
        pretrained = network[4] if len(network) > 4 else None
        return OriginalField(
            str(name),
            int(network[1]),
            tuple(map(str, network[2])),
            tuple(levels),
            _three(num_tokens),
            _three(token_size),
            tuple(map(float, masking)),
            # The original takes any word but 'global' for local, misspelt ones too.
            bool(words) and words[0] != "global",
            (str(pretrained[0]), int(pretrained[1])) if pretrained else None,
        )
    except (TypeError, ValueError, IndexError) as error:
        raise UserError(
            f"{source}: a field must be [name, [dynamic, channels, [coupled fields], device], "
            f"[levels], [tokens], [token size], [masking rates]], not {entry!r}."
        ) from error


def _three(sizes) -> tuple[int, int, int]:
    time, lat, lon = map(int, sizes)
    if min(time, lat, lon) < 1:
        raise ValueError(sizes)
    return time, lat, lon


def _loss_weights(values, fields, source: str) -> dict[str, float]:
    names = [f.name for f in fields]
    if "fields_prediction" not in values:
        return dict.fromkeys(names, 1.0)
    weights = {}
    for entry in _entries(values["fields_prediction"], "fields_prediction", source):
        name = str(entry[0])
        if name not in names or name in weights:
            raise UserError(
                f"{source}: 'fields_prediction' names {name!r}, which must be one of the fields "
                f"{names} and come once."
            )
        weights[name] = float(entry[1]) if len(entry) > 1 else 1.0
    return weights


def _option(values, name: str, source: str):
    if name not in values and name in DEFAULTS:
        return DEFAULTS[name]
    if name not in values:
        raise UserError(f"{source} has no option {name!r}{nearest(name, values)}")
    value = values[name]
    if name in _COUNTS and not (isinstance(value, int) and not isinstance(value, bool)):
        raise UserError(f"{source}: {name!r} must be a whole number, not {value!r}.")
    if name in _FLAGS and not isinstance(value, bool):
        raise UserError(f"{source}: {name!r} must be true or false, not {value!r}.")
    return value


def _check(settings: Settings) -> None:
    source = settings.source
    for name in ("encoder_att_type", "decoder_att_type"):
        kind = getattr(settings, name)
        if kind not in ATTENTION_TYPES:
            raise UserError(
                f"{source}: {name} {kind!r} is not an attention type"
                f"{nearest(str(kind), ATTENTION_TYPES)} Allowed: {', '.join(ATTENTION_TYPES)}."
            )
    if settings.size_token_info != TOKEN_INFO_SIZE:
        raise UserError(
            f"{source}: size_token_info is {settings.size_token_info}; tokens are described by "
            f"{TOKEN_INFO_SIZE} numbers, and a model with any other size cannot be opened."
        )
    shared = min(settings.encoder_num_layers, settings.decoder_num_layers)
    if int((shared - 1) * settings.decoder_cross_att_rate) > settings.encoder_num_layers - 1:
        raise UserError(
            f"{source}: with decoder_cross_att_rate {settings.decoder_cross_att_rate} the decoder "
            f"looks beyond the {settings.encoder_num_layers} layers of the encoder."
        )
    if settings.learnable_mask:
        raise UserError(
            f"{source}: learnable_mask is true; only models that mask tokens with 0 can be opened."
        )
    names = [f.name for f in settings.fields]
    if len(set(names)) < len(names):
        raise UserError(f"{source}: the fields {names} are not all different.")
    for field in settings.fields:
        others = field.couplings
        wrong = [o for o in others if o not in names or o == field.name or others.count(o) > 1]
        if wrong:
            raise UserError(
                f"{source}: field {field.name!r} is coupled to {wrong[0]!r}, which must be one of "
                f"the other fields of {names} and come once."
            )
        if window_shape(field) != window_shape(settings.fields[0]):
            raise UserError(
                f"{source}: all fields must see one window; {names[0]!r} sees "
                f"{window_shape(settings.fields[0])} points (time, lat, lon), {field.name!r} "
                f"{window_shape(field)}."
            )


def window_shape(field: OriginalField) -> tuple[int, ...]:
    """Returns the points of a field's window in (time, lat, lon)."""
    return tuple(map(math.prod, zip(field.num_tokens, field.token_size, strict=True)))
