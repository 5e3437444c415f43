"""The original's network in plain numpy, written from its description: names, shapes, arithmetic.

Both layouts of its files (2024 with fused projections, 2023 with projections per head), all
attention types. Independent of the package, so that it can be compared with it.
"""

import itertools

import numpy as np
from scipy.special import erf

AXES = (3, 2, 1)  # space, time, level of (batch, level, time, space, channel)


def options(fields, **changes):
    """Returns the contents of a JSON file for fields as `field` makes them."""
    return {
        "fields": fields,
        "fields_prediction": [[f[0], 0.5 + i] for i, f in enumerate(fields)],
        "time_sampling": 1,
        "size_token_info": 8,
        "size_token_info_net": 4,
        "with_layernorm": True,
        "coupling_num_heads_per_field": 1,
        "dropout_rate": 0.05,
        "with_qk_lnorm": False,
        "encoder_num_layers": 2,
        "encoder_num_heads": 3,
        "encoder_num_mlp_layers": 2,
        "encoder_att_type": "dense",
        "decoder_num_layers": 2,
        "decoder_num_heads": 4,
        "decoder_num_mlp_layers": 2,
        "decoder_self_att": False,
        "decoder_cross_att_ratio": 0.5,
        "decoder_cross_att_rate": 1.0,
        "decoder_att_type": "dense",
        "net_tail_num_nets": 3,
        "net_tail_num_layers": 0,
        **changes,
    }


def field(name, couplings=(), levels=(114, 137), tokens=(2, 3, 4), size=(2, 2, 2), dim=24):
    """Returns an entry of the list `fields`."""
    network = [1, dim, list(couplings), 0]
    return [name, network, list(levels), list(tokens), list(size), [0.5, 0.9, 0.2, 0.05]]


class Original:
    """A network of the original.

    Args:
        values: as `options` returns them.
        per_head: whether its layout is that of 2023.
        seed: of its weights.
    """

    def __init__(self, values, per_head=False, seed=0):
        self.cf, self.per_head = values, per_head
        self.names = [f[0] for f in values["fields"]]
        self.rng = np.random.default_rng(seed)
        self.state = {}
        self._make()

    def _add(self, name, out, into, bias=False):
        scale = 0.5 / np.sqrt(max(1, into))
        self.state[f"{name}.weight"] = self._random((out, into), scale * 2)
        if bias:
            self.state[f"{name}.bias"] = self._random((out,), 0.3)

    def _random(self, shape, scale):
        return (scale * self.rng.standard_normal(shape)).astype(np.float32)

    def _norm_weights(self, name, size):
        self.state[f"{name}.weight"] = 1 + self._random((size,), 0.3)
        self.state[f"{name}.bias"] = self._random((size,), 0.3)

    def _make(self):
        cf = self.cf
        net = cf["size_token_info_net"]
        self._add("embed_token_info", net, 8, bias=True)
        for i, (_, (_, dim, others, *_), *_) in enumerate(cf["fields"]):
            values = int(np.prod(cf["fields"][i][4]))
            self._add(f"embeds_token_info.{i}", net, 8, bias=True)
            self.state[f"embeds_token_info.{i}.weight"] *= 1e-3
            self._add(f"embeds.{i}", dim - net, values, bias=True)
            for word in ("weight", "bias"):
                self.state[f"encoders.{i}.embed.{word}"] = self.state[f"embeds.{i}.{word}"]
            for layer in range(cf["encoder_num_layers"]):
                self._make_encoder(
                    f"encoders.{i}.heads.{layer}", dim, [self._dim(o) for o in others]
                )
                self._make_mlp(f"encoders.{i}.mlps.{layer}", dim, cf["encoder_num_mlp_layers"])
        for j, (name, _) in enumerate(cf["fields_prediction"]):
            self._make_decoder(f"decoders.{j}.blocks", self._dim(name))
            self._make_tail(f"tails.{j}.tail_nets", name)

    def _field(self, name):
        return self.cf["fields"][self.names.index(name)]

    def _dim(self, name):
        return self._field(name)[1][1]

    def _make_mlp(self, name, dim, layers):
        sizes = [dim, *[2 * dim] * (max(2, layers) - 1), dim]
        for k, (into, out) in enumerate(itertools.pairwise(sizes)):
            self._add(f"{name}.blocks.{3 * k}", out, into, bias=True)

    def _make_heads(self, name, count, size, dim, other):
        for n in range(count):
            self._add(f"{name}.{n}.proj_qs", size, dim)
            self._add(f"{name}.{n}.proj_ks", size, other)
            self._add(f"{name}.{n}.proj_vs", size, other)

    def _make_encoder(self, name, dim, others):
        cf = self.cf
        heads, extra = cf["encoder_num_heads"], cf["coupling_num_heads_per_field"]
        if cf["encoder_att_type"] != "dense":
            self._make_axial(name, dim, others, heads, extra)
            return
        size = dim // heads
        if self.per_head:
            self._make_heads(f"{name}.heads_self", heads, size, dim, dim)
            for n, other in enumerate(np.repeat(others, extra)):
                place = f"{name}.heads_coupling.{n}"
                self._add(f"{place}.proj_qs", size, dim)
                self._add(f"{place}.proj_ks", size, int(other))
                self._add(f"{place}.proj_vs", size, int(other))
        else:
            self._add(f"{name}.proj_heads", heads * 3 * size, dim)
            if others:
                self._add(f"{name}.proj_heads_other.0", len(others) * extra * size, dim)
            for n, other in enumerate(others):
                self._add(f"{name}.proj_heads_other.{n + 1}", 2 * extra * size, other)
        self._add(f"{name}.proj_out", dim, size * (heads + extra * len(others)))

    def _make_axial(self, name, dim, others, heads, extra):
        size = dim // (heads + extra)
        for a in range(3):
            for n, (count, other) in enumerate([(heads, dim), *((extra, o) for o in others)]):
                place = f"{name}.axial_attentions.{a}.{n}.fn"
                self._add(f"{place}.to_q", count * size, dim)
                self._add(f"{place}.to_kv", 2 * count * size, other)
            self._add(f"{name}.to_outs.{a}", dim, size * (heads + extra * len(others)), bias=True)

    def _decoder_heads(self):
        heads = self.cf["decoder_num_heads"]
        other = int(heads * self.cf["decoder_cross_att_ratio"])
        return heads, heads - other, other

    def _kinds(self):
        """Returns the kinds of the decoder's attentions, in order, and their encoder layers."""
        cf, kinds = self.cf, []
        for i in range(cf["decoder_num_layers"]):
            if i >= cf["encoder_num_layers"]:
                kinds.append([("self", None)])
                continue
            layer = cf["encoder_num_layers"] - 1 - int(i * cf["decoder_cross_att_rate"])
            kinds.append([("self", None)] * cf["decoder_self_att"] + [("cross", layer)])
        return kinds

    def _make_decoder(self, name, dim):
        cf, number = self.cf, 0
        heads, own, other = self._decoder_heads()
        size = dim // heads
        for kinds in self._kinds():
            for kind, _ in kinds:
                place = f"{name}.{number}"
                number += 1
                if kind == "cross" and cf["decoder_att_type"] != "dense":
                    self._make_axial(place, dim, [dim], own, other)
                    continue
                count = own if kind == "cross" else heads
                if self.per_head:
                    self._make_heads(f"{place}.heads", count, size, dim, dim)
                else:
                    self._add(f"{place}.proj_heads", count * 3 * size, dim)
                if kind == "cross" and self.per_head:
                    self._make_heads(f"{place}.heads_other", other, size, dim, dim)
                elif kind == "cross":
                    self._add(f"{place}.proj_heads_o_q", other * size, dim)
                    self._add(f"{place}.proj_heads_o_kv", 2 * other * size, dim)
                    self._norm_weights(f"{place}.ln_q", size)
                    self._norm_weights(f"{place}.ln_k", size)
                self._add(f"{place}.proj_out", dim, dim)
            self._make_mlp(f"{name}.{number}", dim, cf["decoder_num_mlp_layers"])
            number += 1

    def _make_tail(self, name, of):
        dim, hidden = self._dim(of), self.cf["net_tail_num_layers"]
        for member in range(self.cf["net_tail_num_nets"]):
            self._norm_weights(f"{name}.{member}.0", dim)
            for k in range(hidden):
                self._add(f"{name}.{member}.{1 + 2 * k}", dim, dim, bias=True)
            values = int(np.prod(self._field(of)[4]))
            self._add(f"{name}.{member}.{1 + 2 * hidden}", values, dim, bias=True)

    # Arithmetic, in float64 throughout except for the angles of the positions.

    def linear(self, name, x):
        y = x @ self.state[f"{name}.weight"].astype(np.float64).T
        return y + self.state[f"{name}.bias"] if f"{name}.bias" in self.state else y

    def members(self, tokens, infos, masked):
        """Returns name -> (batch, level, masked, member, value).

        Args:
            tokens: name -> (batch, level, T, Y, X, value).
            infos: name -> (batch, level, T, Y, X, 8).
            masked: name -> (batch, level, masked) row-major index.
        """
        states = [self._embed(i, tokens[n], infos[n]) for i, n in enumerate(self.names)]
        layers = []
        for layer in range(self.cf["encoder_num_layers"]):
            states = [self._encode(i, layer, states) for i in range(len(states))]
            layers.append(states)
        found = {}
        for j, (name, _) in enumerate(self.cf["fields_prediction"]):
            i = self.names.index(name)
            x = self._decode(f"decoders.{j}.blocks", [layer[i] for layer in layers])
            x = x.reshape(*x.shape[:2], -1, x.shape[-1])
            x = np.take_along_axis(x, masked[name][..., None], axis=2)
            found[name] = self._tails(f"tails.{j}.tail_nets", x)
        return found

    def _embed(self, i, tokens, info):
        x = self.linear(f"embeds.{i}", tokens.astype(np.float64))
        info = self.linear(f"embeds_token_info.{i}", info.astype(np.float64))
        x = np.concatenate([x, info], axis=-1)
        batch, levels, times, rows, columns, dim = x.shape
        number = np.arange(levels * times * rows * columns)
        level, rest = np.divmod(number, times * rows * columns)
        time, rest = np.divmod(rest, rows * columns)
        lat, lon = rest // rows, rest % columns
        step = (2 * np.pi * np.arange(0, dim, 2) / dim).astype(np.float32)
        angles = [np.outer(k.astype(np.float32), step) for k in (8 * lat, time, 8 * lon, level)]
        code = np.empty((len(number), dim))
        code[:, 0::2] = np.sin(angles[0]) / 2 + np.sin(angles[1])
        code[:, 1::2] = np.cos(angles[2]) / 2 + np.cos(angles[3])
        return x.reshape(batch, levels, times, rows * columns, dim) + code.reshape(
            levels, times, rows * columns, dim
        )

    def _encode(self, i, layer, states):
        cf, name = self.cf, f"encoders.{i}.heads.{layer}"
        others = [states[self.names.index(o)] for o in cf["fields"][i][1][2]]
        x = states[i]
        if cf["encoder_att_type"] != "dense":
            extra = cf["coupling_num_heads_per_field"]
            heads = [cf["encoder_num_heads"], *[extra] * len(others)]
            x = x + self._axial(name, [x, *others], heads)
        else:
            plain = norm if cf["with_layernorm"] else (lambda a: a)
            x = x + self._dense(name, plain(x), [plain(o) for o in others])
        return self._mlp(f"encoders.{i}.mlps.{layer}", x)

    def _mlp(self, name, x):
        y = norm(x) if self.cf["with_layernorm"] else x
        k = 0
        while f"{name}.blocks.{k}.weight" in self.state:
            y = gelu(self.linear(f"{name}.blocks.{k}", y))
            k += 3
        return x + y

    def _dense(self, name, x, others):
        cf = self.cf
        heads, extra = cf["encoder_num_heads"], cf["coupling_num_heads_per_field"]
        on = norm if cf["with_qk_lnorm"] else (lambda a: a)
        if self.per_head:
            outs = [self._head(f"{name}.heads_self.{n}", x, x, on) for n in range(heads)]
            for n in range(len(others) * extra):
                place = f"{name}.heads_coupling.{n}"
                outs.append(self._head(place, x, others[n // extra], on))
            return self.linear(f"{name}.proj_out", np.concatenate(outs, -1)).reshape(x.shape)
        q, k, v = split(self.linear(f"{name}.proj_heads", flat(x)), heads, 3)
        outs = [attend(on(q), on(k), v)]
        if others:
            queries = self.linear(f"{name}.proj_heads_other.0", flat(x))
            queries = np.split(queries, len(others), axis=-1)
        for n, other in enumerate(others):
            (q,) = split(queries[n], extra, 1)
            k, v = split(self.linear(f"{name}.proj_heads_other.{n + 1}", flat(other)), extra, 2)
            outs.append(attend(q, on(k), v))  # the queries of couplings are never normalised
        return self.linear(f"{name}.proj_out", np.concatenate(outs, -1)).reshape(x.shape)

    def _head(self, name, x, other, on):
        q = self.linear(f"{name}.proj_qs", flat(x))
        k, v = (self.linear(f"{name}.proj_{w}", flat(other)) for w in ("ks", "vs"))
        return attend(*(a[:, :, None] for a in (on(q), on(k), v)))

    def _axial(self, name, states, heads):
        parallel = "parallel" in self.cf["encoder_att_type"]
        own, *others = [norm(state) for state in states]
        total = 0
        for a, axis in enumerate(AXES):
            outs = []
            for n, (other, count) in enumerate(zip([own, *others], heads, strict=True)):
                place = f"{name}.axial_attentions.{a}.{n}.fn"
                outs.append(self._along(place, axis, own, other, count))
            out = self.linear(f"{name}.to_outs.{a}", np.concatenate(outs, -1))
            total = total + out
            own = own if parallel else out
        return total if parallel else own

    def _along(self, name, axis, x, other, heads):
        # Fewer tokens of the other field serve several of ours; of more, ours take the mean.
        rest = [r for r in (1, 2, 3) if r != axis]
        ratios = [x.shape[r] / other.shape[r] for r in rest]
        wide = x
        for r, ratio in zip(rest, ratios, strict=True):
            other = np.repeat(other, max(1, int(ratio)), axis=r)
            wide = np.repeat(wide, max(1, int(1 / ratio)), axis=r)
        wide, other = np.moveaxis(wide, axis, -2), np.moveaxis(other, axis, -2)
        q = self.linear(f"{name}.to_q", wide)
        k, v = np.split(self.linear(f"{name}.to_kv", other), 2, axis=-1)
        rows = [a.reshape(-1, a.shape[-2], heads, a.shape[-1] // heads) for a in (q, k, v)]
        out = attend(*rows).reshape(*wide.shape[:-1], -1)
        out = np.moveaxis(out, -2, axis)
        for r in rest:
            shape = (*out.shape[:r], x.shape[r], out.shape[r] // x.shape[r], *out.shape[r + 1 :])
            out = out.reshape(shape).mean(r + 1)
        return out

    def _decode(self, name, encoded):
        cf, x, number = self.cf, encoded[-1], 0
        heads, own, other = self._decoder_heads()
        on = norm if cf["with_qk_lnorm"] else (lambda a: a)
        for kinds in self._kinds():
            for kind, layer in kinds:
                place, context = f"{name}.{number}", None if layer is None else encoded[layer]
                number += 1
                if kind == "cross" and cf["decoder_att_type"] != "dense":
                    x = x + self._axial(place, [x, context], [own, other])
                elif self.per_head:
                    x = x + self._decode_per_head(place, x, context, own, other, on)
                elif kind == "cross":
                    x = x + self._decode_fused(place, x, context, own, other)
                else:
                    q, k, v = split(self.linear(f"{place}.proj_heads", flat(norm(x))), heads, 3)
                    out = self.linear(f"{place}.proj_out", attend(norm(q), norm(k), v))
                    x = x + out.reshape(x.shape)
            x = self._mlp(f"{name}.{number}", x)
            number += 1
        return x

    def _decode_per_head(self, name, x, context, own, other, on):
        own = own if context is not None else own + other
        outs = [self._head(f"{name}.heads.{n}", norm(x), norm(x), on) for n in range(own)]
        if context is not None:
            around = norm(context)
            outs += [
                self._head(f"{name}.heads_other.{n}", norm(x), around, on) for n in range(other)
            ]
        return self.linear(f"{name}.proj_out", np.concatenate(outs, -1)).reshape(x.shape)

    def _decode_fused(self, name, x, context, own, other):
        def on(short, a):
            weight, bias = (self.state[f"{name}.{short}.{w}"] for w in ("weight", "bias"))
            return norm(a) * weight + bias

        outs = []
        if own:
            q, k, v = split(self.linear(f"{name}.proj_heads", flat(norm(x))), own, 3)
            outs.append(attend(on("ln_q", q), on("ln_k", k), v))
        if other:
            (q,) = split(self.linear(f"{name}.proj_heads_o_q", flat(norm(x))), other, 1)
            pair = self.linear(f"{name}.proj_heads_o_kv", flat(norm(context)))
            k, v = split(pair, other, 2)
            outs.append(attend(on("ln_q", q), on("ln_k", k), v))
        return self.linear(f"{name}.proj_out", np.concatenate(outs, -1)).reshape(x.shape)

    def _tails(self, name, x):
        members, hidden = [], self.cf["net_tail_num_layers"]
        for m in range(self.cf["net_tail_num_nets"]):
            weight, bias = (self.state[f"{name}.{m}.0.{w}"] for w in ("weight", "bias"))
            y = norm(x) * weight + bias
            for k in range(hidden):
                y = gelu(self.linear(f"{name}.{m}.{1 + 2 * k}", y))
            members.append(self.linear(f"{name}.{m}.{1 + 2 * hidden}", y))
        return np.stack(members, axis=-2)


def norm(x):
    """Returns the layer norm without weights."""
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def gelu(x):
    """Returns the exact GELU."""
    return x * (1 + erf(x / np.sqrt(2))) / 2


def flat(x):
    """Returns (batch, token, channel)."""
    return x.reshape(len(x), -1, x.shape[-1])


def split(projected, heads, kinds):
    """Returns `kinds` arrays (batch, token, head, channel): they lie side by side within a head."""
    shape = (*projected.shape[:2], heads, kinds, projected.shape[-1] // max(1, heads * kinds))
    return [projected.reshape(shape)[..., kind, :] for kind in range(kinds)]


def attend(q, k, v):
    """Returns (row, query, head * channel) of (row, token, head, channel) arrays."""
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    out = np.einsum("bhqk,bkhd->bqhd", weights, v)
    return out.reshape(*out.shape[:2], -1)
