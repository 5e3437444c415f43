"""Which fields a training can change, and what it takes to run them."""

from atmorep_k.model import dataflow


def fields(make_field, **couplings):
    return [make_field(name, couplings=others) for name, others in couplings.items()]


def test_changes_follow_the_couplings(make_field):
    three = fields(make_field, vorticity=[], temperature=["vorticity"], divergence=["temperature"])

    def only(role, field):
        return lambda r, f: (r, f) == (role, field)

    assert dataflow.moving(three, only("encoder", "divergence")) == {"divergence"}
    assert dataflow.moving(three, only("tokenizer", "vorticity")) == {
        "vorticity",
        "temperature",
        "divergence",
    }
    assert dataflow.moving(three, only("decoder", "vorticity")) == set()


def test_a_layer_less_for_each_coupling(make_field):
    three = fields(make_field, vorticity=[], temperature=["vorticity"], divergence=["temperature"])
    needed = dataflow.layers_needed(three, ["divergence"], lambda field: 4)
    assert needed == {"divergence": 4, "temperature": 3, "vorticity": 2}
    needed = dataflow.layers_needed(three, ["divergence", "vorticity"], lambda field: 4)
    assert needed == {"divergence": 4, "temperature": 3, "vorticity": 4}
    shallow = {"divergence": 4, "temperature": 1, "vorticity": 2}
    assert dataflow.layers_needed(three, ["divergence"], shallow.get) == {
        "divergence": 4,
        "temperature": 1,
        "vorticity": 0,
    }


def test_fields_that_read_each_other_need_all_but_the_last_layer(make_field):
    both = fields(make_field, vorticity=["temperature"], temperature=["vorticity"])
    needed = dataflow.layers_needed(both, ["vorticity"], lambda field: 3)
    assert needed == {"vorticity": 3, "temperature": 2}


def test_only_fields_that_are_read_are_embedded(make_field):
    three = fields(make_field, vorticity=[], temperature=["vorticity"], divergence=["temperature"])
    assert dataflow.embedded(three, ["temperature"]) == {"temperature", "vorticity"}
    assert dataflow.embedded(three, ["vorticity"]) == {"vorticity"}
