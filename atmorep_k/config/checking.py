"""The checks of a configuration, made before anything is built or any data opened.

gin itself accepts unknown parameters of anything with `**kwargs`, bindings that nothing uses,
undefined macros and values of any type. Here each is one sentence with its place.

What is used is found by walking from `run.task` along references, with gin's rule of scopes: a
reference with a scope replaces the current one, a reference without keeps it, and `%M` is looked
up in the scope M. A binding applies in its own scope, a binding without a scope in all that have
none of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from atmorep_k.config.statements import Definition, Key, Macro, Reference, parts
from atmorep_k.config.types import Instance, mismatch
from atmorep_k.errors import UserError, nearest, unknown
from atmorep_k.registry.parameters import annotation, bindable_parameters, named_parameters

ROOT = Key("", "run", "task")

Vocabulary = Mapping[str, Callable]


def check_bindings(definitions: Sequence[Definition], vocabulary: Vocabulary) -> list[Definition]:
    """Checks everything that files and overrides say.

    Args:
        definitions: in the order in which they apply: a later one overrides an earlier one.
        vocabulary: name -> class of every component, and the root function `run`.

    Returns:
        The definitions that are used, in the order in which the walk from `run.task` meets them.

    Raises:
        UserError: at the first mistake found.
    """
    for definition in definitions:
        _check_names(definition, vocabulary)
    final = {d.key: d for d in definitions}
    _check_root(final)
    walk = _Walk(definitions, vocabulary)
    _check_unused(definitions, vocabulary, walk)
    walk.raise_mistake()
    for definition in walk.used.values():
        _check_type(definition, final, vocabulary)
    return list(walk.used.values())


def _check_names(definition: Definition, vocabulary: Vocabulary) -> None:
    key, where = definition.key, definition.where
    if key.component:
        _check_component(key.component, vocabulary, where)
        allowed = bindable_parameters(vocabulary[key.component])
        if key.parameter not in allowed:
            raise _at(where, unknown(f"parameter of {key.component}", key.parameter, allowed))
    elif key.parameter in vocabulary:
        raise UserError(
            f"{where}: {key.parameter} is a component; write {key.parameter}.PARAMETER = VALUE."
        )
    for part in parts(definition.value):
        if isinstance(part, Reference):
            names = [name for name in vocabulary if name != ROOT.component]
            _check_component(part.component, names, where)


def _check_component(name: str, names: Sequence[str] | Vocabulary, where: str) -> None:
    if name in names:
        return
    last = name.rpartition(".")[2]
    if last in names:
        raise UserError(f"{where}: components are named without a module: {last}, not {name}.")
    raise _at(where, unknown("component", name, names))


def _check_root(final: Mapping[Key, Definition]) -> None:
    if ROOT not in final:
        raise UserError(
            f"the configuration names no task; include 'train/pretrain.gin' or write "
            f"{ROOT} = @Pretraining()."
        )
    root = final[ROOT]
    if not isinstance(root.value, Reference):
        raise UserError(f"{root.where}: {ROOT} must be a task, as in {ROOT} = @Pretraining().")


class _Walk:
    """Follows references and macros from the root and notes the bindings that apply on the way.

    Args:
        definitions: in the order in which they apply.
        vocabulary: name -> class.
        source: walks also along what was overridden after this source, by a later definition or
            by one with a scope; None walks along what really applies, and notes mistakes.
    """

    def __init__(
        self,
        definitions: Sequence[Definition],
        vocabulary: Vocabulary,
        source: int | None = None,
    ):
        self.vocabulary = vocabulary
        self.source = source
        self.bindings: dict[Key, list[Definition]] = {}
        for definition in definitions:
            before = self.bindings.get(definition.key, []) if self._is_late(definition) else []
            self.bindings[definition.key] = [*before, definition]
        self.used: dict[Key, Definition] = {}
        self.made: dict[tuple[str, str], None] = {}
        self.undefined: list[str] = []
        self.mistakes: list[UserError] = []
        self._component(ROOT.component, "", self.bindings[ROOT][-1], ())

    def raise_mistake(self) -> None:
        for mistake in self.mistakes[:1]:
            raise mistake

    def _is_late(self, definition: Definition) -> bool:
        return self.source is not None and definition.source > self.source

    def _component(self, name: str, scope: str, origin: Definition, path: tuple) -> None:
        if (name, scope) in path:
            self._mistake(origin, f"@{name}() refers to itself.")
        if (name, scope) in self.made:
            return
        self.made[name, scope] = None
        parameters = bindable_parameters(self.vocabulary[name])
        keys = [key for parameter in parameters for key in self._applying(name, scope, parameter)]
        for key in keys:
            self._follow(key, scope, (*path, (name, scope)))
        self._check_required(name, scope, {key.parameter for key in keys}, origin)

    def _applying(self, name: str, scope: str, parameter: str) -> list[Key]:
        plain, scoped = Key("", name, parameter), Key(scope, name, parameter)
        own = self.bindings.get(scoped, []) if scope else []
        keys = [plain] if plain in self.bindings and all(map(self._is_late, own)) else []
        return [*keys, scoped] if own else keys

    def _follow(self, key: Key, scope: str, path: tuple) -> None:
        for definition in self.bindings[key]:
            self.used[key] = definition
            for part in parts(definition.value):
                if isinstance(part, Reference):
                    self._component(part.component, part.scope or scope, definition, path)
                elif isinstance(part, Macro):
                    self._macro(part, definition, path)

    def _macro(self, macro: Macro, origin: Definition, path: tuple) -> None:
        key = Key("", "", macro.name)
        if macro.is_required:
            name = origin.key
            self._mistake(origin, f"{name} must be given: in a file or by --set {name}=VALUE.")
        elif key not in self.bindings:
            self.undefined.append(macro.name)
            macros = [k.parameter for k in self.bindings if not k.component]
            self._mistake(origin, f"%{macro.name} is not defined{nearest(macro.name, macros)}")
        elif key in path:
            self._mistake(origin, f"%{macro.name} refers to itself.")
        else:
            self._follow(key, macro.name, (*path, key))

    def _check_required(self, name: str, scope: str, bound: set[str], origin: Definition) -> None:
        parameters = named_parameters(self.vocabulary[name])
        needed = [n for n, p in parameters.items() if p.default is p.empty and n not in bound]
        if needed:
            made = f"{scope}/{name}" if scope and not self._is_macro(scope) else name
            add = " and ".join(f"{made}.{n} = VALUE" for n in needed)
            self._mistake(origin, f"@{made}() needs {', '.join(needed)}; add {add}.")

    def _is_macro(self, scope: str) -> bool:
        return Key("", "", scope) in self.bindings

    def _mistake(self, origin: Definition, sentence: str) -> None:
        if self.source is None:
            self.mistakes.append(UserError(f"{origin.where}: {sentence}"))


def _check_unused(definitions: Sequence[Definition], vocabulary: Vocabulary, walk: _Walk) -> None:
    """Refuses what nothing uses, unless something said later overrode its use.

    So a file may replace a component that an included file has bound parameters of.
    """
    for source in sorted({d.source for d in definitions if d.key not in walk.used}):
        forgiving = _Walk(definitions, vocabulary, source)
        for definition in definitions:
            if definition.source == source and definition.key not in forgiving.used:
                raise UserError(f"{definition.where}: {_unused(definition.key, walk)}")


def _unused(key: Key, walk: _Walk) -> str:
    if not key.component:
        macros = [k.parameter for k in walk.used if not k.component] + walk.undefined
        return f"the macro {key} is never used{nearest(str(key), macros)}"
    scopes = [scope for name, scope in walk.made if name == key.component]
    if scopes and not key.scope:
        own = f"a {key.parameter} of its own scope"
        return f"{key} has no effect: every @{key.component}() has {own}."
    name, *made = (f"{s}/{key.component}" if s else key.component for s in (key.scope, *scopes))
    return f"{key} has no effect: {ROOT} does not use @{name}(){nearest(name, made)}"


def _check_type(
    definition: Definition, final: Mapping[Key, Definition], vocabulary: Vocabulary
) -> None:
    key = definition.key
    if not key.component:
        return
    hint = annotation(vocabulary[key.component], key.parameter)
    origin = definition
    while isinstance(origin.value, Macro):
        origin = final[Key("", "", origin.value.name)]
    wrong = mismatch(_resolved(definition.value, final, vocabulary), hint)
    if wrong and origin is definition:
        raise UserError(f"{definition.where}: {key} {wrong}")
    if wrong:
        raise UserError(
            f"{origin.where}: {origin.key}, in {definition.where} bound to {key}, {wrong}"
        )


def _resolved(value: Any, final: Mapping[Key, Definition], vocabulary: Vocabulary) -> Any:
    """Returns a value with macros replaced by their values and references by `Instance`s."""
    if isinstance(value, Macro):
        value = final[Key("", "", value.name)].value
        return _resolved(value, final, vocabulary)
    if isinstance(value, Reference):
        return Instance(vocabulary[value.component])
    if isinstance(value, dict):
        items = value.items()
        return {_resolved(k, final, vocabulary): _resolved(v, final, vocabulary) for k, v in items}
    if isinstance(value, list | tuple):
        return type(value)(_resolved(item, final, vocabulary) for item in value)
    return value


def _at(where: str, error: UserError) -> UserError:
    return UserError(f"{where}: {error}")
