"""What components of file format 1 were called and took, in the words of today.

Until format 2 each kind of encoder and decoder declared the options of its blocks itself. The one
place of the core that knows concrete components: neither models nor configurations could be read
by what replaced them.
"""

from typing import Any

_BLOCKS = "atmorep_k.components.blocks"
SHARED = ("num_heads", "mlp_ratio", "mlp_layers", "dropout", "mlp_norm", "output_activation")
_DENSE, _AXIAL = (*SHARED, "qk_norm", "norm"), (*SHARED, "reserved_heads", "parallel")
# Former name -> name, its block, and the options that are the block's.
FORMER = {
    "DenseEncoder": ("Encoder", "TransformerBlock", _DENSE),
    "AxialEncoder": ("Encoder", "AxialBlock", _AXIAL),
    "UNetDecoder": ("UNetDecoder", "TransformerBlock", _DENSE),
    "AxialUNetDecoder": ("UNetDecoder", "AxialBlock", _AXIAL),
}
_MODULES = {
    "Encoder": "atmorep_k.components.encoders.encoder",
    "UNetDecoder": "atmorep_k.components.decoders.unet_decoder",
    "TransformerBlock": f"{_BLOCKS}.transformer_block",
    "AxialBlock": f"{_BLOCKS}.axial_block",
}


def modern_config(value: Any) -> Any:
    """Returns a serialised configuration of format 1 as this version writes it.

    Args:
        value: of a model, or of anything in it, as Keras serialises it.
    """
    if isinstance(value, list):
        return [modern_config(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = (value.get("registered_name") or "").removeprefix("atmorep_k>")
    if name in FORMER and "block" not in value["config"]:
        return _modern_layer(name, value["config"])
    return {key: modern_config(item) for key, item in value.items()}


def _modern_layer(former: str, config: dict[str, Any]) -> dict[str, Any]:
    name, block, options = FORMER[former]
    config = dict(config)
    self_qk_norm = config.pop("self_qk_norm", "none" if former == "AxialUNetDecoder" else None)
    of_block = {key: config.pop(key) for key in options if key in config}
    if former == "DenseEncoder":
        of_block["mlp_norm"] = of_block.get("norm", True)
    config["block"] = _serialized(block, of_block)
    if self_qk_norm is not None:
        dense = {key: of_block[key] for key in SHARED if key in of_block}
        config["self_block"] = _serialized("TransformerBlock", {**dense, "qk_norm": self_qk_norm})
    return _serialized(name, config)


def _serialized(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": _MODULES[name],
        "class_name": name,
        "config": config,
        "registered_name": f"atmorep_k>{name}",
    }
