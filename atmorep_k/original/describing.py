"""A model of ours in the original's words, where it has words for it."""

from typing import Any

import keras

from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec
from atmorep_k.model import AtmoRep
from atmorep_k.original.architecture import WeightLayout, build_model
from atmorep_k.original.settings import REMEMBERED, Settings, parse_settings
from atmorep_k.registry import clone

_NAMES = {
    "u_component_of_wind": "velocity_u",
    "v_component_of_wind": "velocity_v",
    "vertical_velocity": "velocity_z",
    "total_precipitation": "total_precip",
    "2m_temperature": "t2m",
}
# What the original's programs read from the file besides the architecture, as it sets them.
_TRAINING = {
    "with_ddp": False,
    "years_train": [2020],
    "years_val": [2021],
    "month": None,
    "geo_range_sampling": [[-90.0, 90.0], [0.0, 360.0]],
    "torch_seed": 0,
    "batch_size": 96,
    "batch_size_validation": 1,
    "num_epochs": 128,
    "num_samples_per_epoch": 49152,
    "num_samples_validate": 1536,
    "num_loader_workers": 8,
    "grad_checkpointing": True,
    "with_cls": False,
    "with_mixed_precision": True,
    "losses": ["mse_ensemble", "stats"],
    "optimizer_zero": False,
    "lr_start": 1e-5,
    "lr_max": 2e-5,
    "lr_min": 1e-5,
    "weight_decay": 0.025,
    "lr_decay_rate": 1.025,
    "lr_start_epochs": 3,
    "model_log_frequency": 256,
    "BERT_strategy": "BERT",
    "forecast_num_tokens": 2,
    "BERT_fields_synced": False,
    "BERT_mr_max": 2,
    "log_test_num_ranks": 0,
    "save_grads": False,
    "profile": False,
    "test_initial": False,
    "attention": False,
    "rng_seed": None,
    "with_wandb": True,
}
_MASKING = [0.5, 0.9, 0.2, 0.05]
_ROLES = ("tokenizer", "token_info", "position", "encoder", "decoder", "tail", "coupler")
# Set by the model for each field, or of no consequence for what is computed.
_NOT_COMPARED = {"name", "dtype", "trainable", "token_values", "head_dim"}


def describe_network(model: AtmoRep) -> tuple[dict[str, Any], Settings, WeightLayout]:
    """Returns the contents of a JSON file for a model, what they mean, and the layout it needs.

    Raises:
        UserError: if the original cannot express the model; names the part and option.
    """
    values = _values(model)
    settings = parse_settings(values, f"the model {model.name!r}")
    layout = _layout(model, settings)
    _check_same(model, build_model(settings, layout))
    return values, settings, layout


def _values(model: AtmoRep) -> dict[str, Any]:
    parts = model.templates
    encoder, decoder, tail, coupler = (parts[r] for r in ("encoder", "decoder", "tail", "coupler"))
    original = model.provenance.get("original", {})
    return {
        **_TRAINING,
        **{name: original[name] for name in REMEMBERED if name in original},
        "fields": [_field(f, original.get("masking", {})) for f in model.fields],
        "fields_prediction": [[_name(f.name), f.loss_weight] for f in model.predicted],
        "time_sampling": round(model.fields[0].window.step_hours),
        "size_token_info": 8,
        "size_token_info_net": parts["token_info"].embed_dim,
        "with_layernorm": getattr(_block(encoder), "mlp_norm", True),
        "coupling_num_heads_per_field": _coupling_heads(encoder, coupler),
        "dropout_rate": getattr(_block(encoder), "dropout", 0.0),
        "with_qk_lnorm": "plain" in (_qk_norm(encoder), _qk_norm(decoder)),
        **_attention("encoder", encoder),
        **_attention("decoder", decoder),
        "decoder_att_type": _kind(decoder) if _is_axial(decoder) else "dense",
        "decoder_self_att": getattr(decoder, "self_attention", False),
        "decoder_cross_att_ratio": getattr(decoder, "cross_ratio", 0.5),
        "decoder_cross_att_rate": getattr(decoder, "cross_rate", 1.0),
        "net_tail_num_nets": getattr(tail, "num_members", 1),
        "net_tail_num_layers": getattr(tail, "hidden_layers", 0),
    }


def _name(name: str) -> str:
    return _NAMES.get(name, name)


def _field(field: FieldSpec, masking: dict[str, list[float]]) -> list:
    name = _name(field.name)
    network = [1, field.embed_dim, [_name(other) for other in field.couplings], 0]
    rates = list(masking.get(name, _MASKING if field.predicted else [0.0] * 4))
    local = ["local"] if field.normalization == "grid_point" else []
    sizes = [list(field.levels), list(field.num_tokens), list(field.token_size)]
    return [name, network, *sizes, rates, *local]


def _block(part) -> Any:
    """Returns what the blocks of an encoder or decoder are like."""
    return part.block.layer if hasattr(part, "block") else part


def _is_axial(part) -> bool:
    return hasattr(_block(part), "parallel")


def _kind(part) -> str:
    return "axial_parallel" if _block(part).parallel else "axial"


def _attention(role: str, part) -> dict[str, Any]:
    return {
        f"{role}_num_layers": part.num_layers,
        f"{role}_num_heads": getattr(_block(part), "num_heads", 1),
        f"{role}_num_mlp_layers": getattr(_block(part), "mlp_layers", 2),
        f"{role}_att_type": _kind(part) if _is_axial(part) else "dense",
    }


def _coupling_heads(encoder, coupler) -> int:
    return getattr(coupler, "num_heads", 0) or getattr(_block(encoder), "reserved_heads", 0) or 1


def _qk_norm(part) -> str:
    return getattr(_block(part), "qk_norm", "none")


def _layout(model: AtmoRep, settings: Settings) -> WeightLayout:
    """Returns the layout: that of 2023 where the decoder's norms have no weights."""
    encoder, decoder = model.templates["encoder"], model.templates["decoder"]
    per_head = not _is_axial(decoder) and _qk_norm(decoder) != "affine"
    reserved = getattr(_block(encoder), "reserved_heads", 0)
    return WeightLayout(per_head, reserved, settings.coupling_num_heads_per_field)


def _check_same(model: AtmoRep, other: AtmoRep) -> None:
    """Compares a model with the one that the original's settings stand for."""
    if model.encode != "all":
        raise UserError(
            f"the original cannot express AtmoRep.encode = {model.encode!r}: its encoder sees all."
        )
    if parts := model.templates.parts:
        raise UserError(
            f"the original cannot express AtmoRep.parts: all its fields have the same components, "
            f"but {', '.join(sorted(parts))} has others."
        )
    if model.templates["first_guess"] is not None:
        raise UserError(
            "the original cannot express AtmoRep.first_guess: its members start from 0."
        )
    for role in _ROLES:
        ours, theirs = model.templates[role], other.templates[role]
        if ours is None or theirs is None:
            continue  # no field is coupled
        if type(ours) is not type(theirs):
            raise UserError(
                f"the original cannot express the {role} {type(ours).__name__}; in its place it "
                f"has a {type(theirs).__name__}."
            )
        if role == "decoder" and not _needs_self_blocks(model):
            theirs = clone(theirs, self_block=ours.get_config()["self_block"])
        wanted = _compared(role, theirs)
        for option, value in _compared(role, ours).items():
            if value != wanted.get(option) and not option.endswith(".dropout"):
                raise UserError(
                    f"the original cannot express {option} = {value!r} here; it would be "
                    f"{wanted.get(option)!r}."
                )
    for ours, theirs in zip(model.fields, other.fields, strict=True):
        if ours.get_config() != theirs.get_config():
            raise UserError(f"the original cannot express the field {ours}; it would be {theirs}.")


def _compared(role: str, part: keras.layers.Layer) -> dict[str, Any]:
    of_field = {"tokenizer": {"embed_dim"}, "coupler": {"norm"}}.get(role, set())
    left_out = _NOT_COMPARED | of_field
    config = {k: v for k, v in part.get_config().items() if k not in left_out}
    return _options(type(part).__name__, config)


def _options(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Returns `Component.option` -> value, of components that are options, too."""
    found = {}
    for key, value in config.items():
        if isinstance(value, dict) and "class_name" in value:
            found[f"{name}.{key}"] = value["class_name"]
            inner = _options(value["class_name"], value["config"])
            # A decoder may have two blocks of one class.
            found |= {f"{name}.{key}: {k}" if key != "block" else k: v for k, v in inner.items()}
        else:
            found[f"{name}.{key}"] = value
    return found


def _needs_self_blocks(model: AtmoRep) -> bool:
    """Tells whether a decoder has blocks or attention without the encoder."""
    encoder, decoder = model.templates["encoder"], model.templates["decoder"]
    return decoder.self_attention or decoder.num_layers > encoder.num_layers
