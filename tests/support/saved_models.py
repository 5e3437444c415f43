"""Saved models whose configuration is changed in the file, as other versions might write it."""

import json
import zipfile

import keras

from atmorep_k import components

PROVENANCE = {
    "store": "new.zarr",
    "sources": [
        {
            "model": "runs/base/model.keras",
            "sha256": "ab" * 32,
            "fields": ["temperature", "vorticity"],
            "role": "extended",
            "provenance": {
                "store": "base.zarr",
                "sources": [
                    {
                        "model": "wind.keras",
                        "sha256": "cd" * 32,
                        "fields": ["vorticity"],
                        "role": "coupled",
                        "provenance": {"store": "wind.zarr"},
                    }
                ],
            },
        }
    ],
}
# All that is old is frozen, and of the old only what attends to the new field is trained.
FREEZE = ["*/temperature/*", "*/vorticity/*", "!*/coupled_2m_temperature/*"]


def rewrite(path, member, edit):
    """Replaces one member of an archive by what `edit` makes of its bytes."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[member] = edit(contents[member])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def edit_config(path, **changes):
    """Changes entries of the model's configuration in its file; serialises components."""

    def edit(data):
        model = json.loads(data)
        model["config"] |= keras.saving.serialize_keras_object(changes)
        return json.dumps(model).encode()

    rewrite(path, "config.json", edit)
    return path


def save_extended(path, make_model, make_field):
    """Saves an old field that attends to a new one, one that stands alone, and the new one.

    The old ones are frozen, but for the coupling; the new one has a larger encoder of its own.
    """
    fields = [
        make_field("temperature", couplings=["vorticity", "2m_temperature"]),
        make_field("vorticity", predicted=False),
        make_field("2m_temperature", levels=[0]),
    ]
    coupler = components.couplers.CrossFieldAttention(num_heads=2)
    encoder = components.encoders.Encoder(
        num_layers=2, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.1)
    )
    model = make_model(fields, coupler=coupler, encoder=encoder)
    model.build()
    model.provenance = PROVENANCE
    model.save(path)
    edit_config(path, freeze=FREEZE)
    return model
