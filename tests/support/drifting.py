"""A model whose forecasts are known in closed form."""

import numpy as np

from atmorep_k.batch import detokenize, tokenize

from known_truth import Answers

STEPS = np.array([-0.5, 0.25, 1.0])


class Drifts(Answers):
    """Each member is the last hour that is seen, moved by a step of its own (normalised)."""

    def __init__(self, fields=("temperature",)):
        super().__init__(fields, None)

    def predict_on_batch(self, inputs):
        return {f.name: self._moved(f, inputs) for f in self.predicted}

    def _moved(self, field, inputs):
        tokens, index = inputs[f"{field.name}/tokens"], inputs[f"{field.name}/masked_index"]
        cube = detokenize(tokens, field.token_size)
        masked = (index.shape[-1] // (field.tokens_per_level // field.num_tokens[0])) * (
            field.token_size[0]
        )
        last = cube[:, :, -masked - 1, None]
        found = tokenize(np.broadcast_to(last, cube.shape), field.token_size)
        found = found.reshape(*found.shape[:2], field.tokens_per_level, -1)
        found = np.take_along_axis(found, index[..., None], 2)
        return found[..., None, :] + STEPS[:, None].astype("float32")
