"""Configurations of runs made before encoders and decoders took a block."""

import pytest

from atmorep_k.components.blocks import AxialBlock, TransformerBlock
from atmorep_k.config import load
from atmorep_k.errors import UserError

TOY = """
run.task = @ToyTask()
ToyTask.parts = [@ToyPart(), @b/ToyPart()]
ToyTask.layer = @UNetDecoder()
ToyPart.name = 'one'
ToyPart.inner = @AxialEncoder()
b/ToyPart.inner = @b/AxialEncoder()
AxialEncoder.num_layers = 3
AxialEncoder.num_heads = 8
b/AxialEncoder.parallel = True
b/AxialEncoder.num_heads = 2
b/AxialEncoder.remat = True
UNetDecoder.num_heads = 6
UNetDecoder.qk_norm = 'affine'
UNetDecoder.self_qk_norm = 'plain'
UNetDecoder.cross_ratio = 1.0
"""


def test_former_encoders_and_decoders_are_read_as_those_of_today(toys, gin_files):
    gin_files(former=TOY)
    configuration = load(["former.gin"])
    task = configuration.build()
    encoders = [part.inner for part in task.parts]
    assert [(e.num_layers, e.remat) for e in encoders] == [(3, False), (3, True)]
    blocks = [e.block.layer for e in encoders]
    assert [type(b) for b in blocks] == [AxialBlock] * 2
    assert [(b.num_heads, b.parallel) for b in blocks] == [(8, False), (2, True)]
    decoder = task.layer
    blocks = decoder.block.layer, decoder.self_block.layer
    assert [(b.num_heads, b.qk_norm) for b in blocks] == [(6, "affine"), (6, "plain")]
    assert decoder.cross_ratio == 1.0
    gin_files(today=configuration.text)
    assert load(["today.gin"]).text == configuration.text


def test_the_norm_of_a_former_dense_encoder_is_that_of_attention_and_mlp(toys, gin_files):
    text = "run.task = @ToyTask()\nToyTask.layer = @DenseEncoder()\nDenseEncoder.norm = False\n"
    gin_files(former=text)
    block = load(["former.gin"]).build().layer.block.layer
    assert isinstance(block, TransformerBlock)
    assert (block.norm, block.mlp_norm) == (False, False)


def test_dense_and_axial_encoders_in_one_former_configuration_are_refused(toys, gin_files):
    gin_files(former=TOY.replace("inner = @AxialEncoder", "inner = @DenseEncoder"))
    with pytest.raises(UserError, match=r"both DenseEncoder and AxialEncoder.*a/Encoder\.block"):
        load(["former.gin"])
