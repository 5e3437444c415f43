"""Configurations of runs made before encoders and decoders took a block."""

import pytest

from atmorep_k.components.blocks import AxialBlock, TransformerBlock
from atmorep_k.config import load

pytestmark = pytest.mark.once("configurations know no backend")

TOY = """
run.task = @ToyTask()
ToyTask.parts = [@ToyPart(), @b/ToyPart()]
ToyTask.layer = @UNetDecoder()
ToyPart.name = 'one'
ToyPart.inner = @DenseEncoder()
b/ToyPart.inner = @b/AxialEncoder()
DenseEncoder.num_layers = 3
DenseEncoder.norm = False
DenseEncoder.num_heads = 2
AxialEncoder.num_heads = 8
b/AxialEncoder.parallel = True
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
    dense, axial = (part.inner for part in task.parts)
    assert (dense.num_layers, axial.num_layers, axial.remat) == (3, 4, True)
    block = dense.block.layer
    assert isinstance(block, TransformerBlock)
    assert (block.norm, block.mlp_norm, block.num_heads) == (False, False, 2)
    block = axial.block.layer
    assert isinstance(block, AxialBlock)
    assert (block.parallel, block.num_heads) == (True, 8)
    decoder = task.layer
    blocks = decoder.block.layer, decoder.self_block.layer
    assert [(b.num_heads, b.qk_norm) for b in blocks] == [(6, "affine"), (6, "plain")]
    assert decoder.cross_ratio == 1.0
    gin_files(today=configuration.text)
    assert load(["today.gin"]).text == configuration.text
