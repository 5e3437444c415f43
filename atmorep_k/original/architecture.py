"""The original's network, put together from our components with its habits switched on."""

import dataclasses
from typing import Any, Literal

from atmorep_k.components.blocks import AxialBlock, TransformerBlock
from atmorep_k.components.couplers import CrossFieldAttention
from atmorep_k.components.decoders import UNetDecoder
from atmorep_k.components.encoders import Encoder
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.components.positions import HarmonicPosition
from atmorep_k.components.tails import LinearEnsemble, MLPEnsemble
from atmorep_k.components.tokenizers import CuboidTokenizer, TokenInfo
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.model import AtmoRep
from atmorep_k.original.settings import Settings, window_shape


@dataclasses.dataclass(frozen=True)
class WeightLayout:
    """How a file of weights is laid out, which its settings do not say.

    Args:
        per_head: whether each head has projections of its own, as until 2023; else the heads of a
            block share fused ones. The two also differ in what they normalise.
        reserved_heads: heads that axial attention divides the channels among besides its own.
        coupling_heads: heads per coupled field.
    """

    per_head: bool
    reserved_heads: int
    coupling_heads: int

    @property
    def name(self) -> str:
        """The layout in a word or two."""
        return "2023 layout (projections per head)" if self.per_head else "2024 layout"


def current_layout(settings: Settings) -> WeightLayout:
    """Returns the layout that the original's last version (2024) writes."""
    heads = settings.coupling_num_heads_per_field
    return WeightLayout(per_head=False, reserved_heads=heads, coupling_heads=heads)


def field_specs(settings: Settings) -> list[FieldSpec]:
    """Returns the fields, in the order of the settings."""
    window = Window(window_shape(settings.fields[0]), step_hours=settings.time_sampling)
    return [
        FieldSpec(
            field.name,
            field.levels,
            field.token_size,
            window,
            embed_dim=field.embed_dim,
            loss_weight=settings.weights.get(field.name, 1.0),
            normalization="grid_point" if field.is_local else "global",
            couplings=field.couplings,
            predicted=field.name in settings.weights,
        )
        for field in settings.fields
    ]


def build_model(
    settings: Settings, layout: WeightLayout, provenance: dict | None = None
) -> AtmoRep:
    """Returns the model of some settings, not yet built: no weight is allocated.

    Args:
        settings: of the run.
        layout: of its file of weights.
        provenance: what the model is to remember.

    Raises:
        UserError: if no model of ours fits the settings.
    """
    couplings = any(field.couplings for field in settings.fields)
    return AtmoRep(
        field_specs(settings),
        tokenizer=CuboidTokenizer(),
        token_info=TokenInfo(embed_dim=settings.size_token_info_net, features="raw"),
        position=HarmonicPosition(original_rows=True),
        encoder=_encoder(settings, layout),
        decoder=_decoder(settings, layout),
        tail=_tail(settings),
        normalizer=MonthlyNormalizer(),
        coupler=_coupler(settings, layout) if couplings else None,
        provenance=provenance,
    )


def _net(settings: Settings, num_heads: int, mlp_layers: int) -> dict[str, Any]:
    # Fewer than two linear maps are two in the original.
    return {
        "num_heads": num_heads,
        "mlp_layers": max(2, mlp_layers),
        "dropout": float(settings.dropout_rate),
        "mlp_norm": settings.with_layernorm,
        "output_activation": True,
    }


def _encoder(settings: Settings, layout: WeightLayout) -> Encoder:
    net = _net(settings, settings.encoder_num_heads, settings.encoder_num_mlp_layers)
    if settings.encoder_att_type == "dense":
        block = TransformerBlock(**net, norm=settings.with_layernorm, qk_norm=_plain(settings))
    else:
        parallel = "parallel" in settings.encoder_att_type
        block = AxialBlock(**net, reserved_heads=layout.reserved_heads, parallel=parallel)
    return Encoder(settings.encoder_num_layers, block)


def _decoder(settings: Settings, layout: WeightLayout) -> UNetDecoder:
    net = _net(settings, settings.decoder_num_heads, settings.decoder_num_mlp_layers)
    # The version of 2024 hands the attention type over where the norm is asked for: always on.
    self_qk_norm = _plain(settings) if layout.per_head else "plain"
    if settings.decoder_att_type == "dense":
        block = TransformerBlock(**net, qk_norm=_plain(settings) if layout.per_head else "affine")
    else:
        # The decoder's axes are parallel where the *encoder's* are.
        block = AxialBlock(**net, parallel="parallel" in settings.encoder_att_type)
    return UNetDecoder(
        settings.decoder_num_layers,
        block,
        TransformerBlock(**net, qk_norm=self_qk_norm),
        cross_ratio=float(settings.decoder_cross_att_ratio),
        cross_rate=float(settings.decoder_cross_att_rate),
        self_attention=settings.decoder_self_att,
    )


def _coupler(settings: Settings, layout: WeightLayout):
    qk_norm: Literal["none", "plain", "keys"] = "none"
    if settings.encoder_att_type == "dense" and settings.with_qk_lnorm:
        qk_norm = "plain" if layout.per_head else "keys"
    return CrossFieldAttention(layout.coupling_heads, qk_norm=qk_norm)


def _tail(settings: Settings):
    members, hidden = settings.net_tail_num_nets, settings.net_tail_num_layers
    if not hidden:
        return LinearEnsemble(num_members=members)
    return MLPEnsemble(hidden_layers=hidden, num_members=members)


def _plain(settings: Settings) -> Literal["none", "plain"]:
    return "plain" if settings.with_qk_lnorm else "none"
