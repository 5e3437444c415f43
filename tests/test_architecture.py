"""The plan of the house: who may import from whom, read from the imports of all files.

The order below is that of CONTRIBUTING.md. An import inside a function counts like one at the top.
"""

import ast
import statistics
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

# From top to bottom: what stands on a floor imports from the floors below it only.
FLOORS = (
    ("cli",),
    ("reporting", "costs"),
    ("tasks", "training"),
    ("evaluation", "extension", "original"),
    ("inference", "components"),
    ("saved", "runs"),
    ("windows", "figures", "distribution"),
    ("model", "protocols"),
    ("data", "config", "fields"),
    ("backend", "earth", "registry"),
    ("files",),
    ("errors", "batch", "console", "_version"),
)
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}

# The facade, which hands on what users import, and `python -m atmorep_k`.
DOORS = {"atmorep_k", "atmorep_k.__main__"}

# Components are leaves: they know the contracts and the machinery below, never a task.
OF_COMPONENTS = {
    "backend",
    "batch",
    "components",
    "console",
    "data",
    "earth",
    "errors",
    "fields",
    "files",
    "model",
    "protocols",
    "registry",
    "runs",
    "windows",
}

# The one place that imports modules by a name it has read: those of entry points.
BY_NAME = "atmorep_k.registry.discovery"

Sources = Mapping[str, str]


def sources() -> dict[str, str]:
    """Return module -> source of every file of the product."""
    found = {}
    for folder, prefix in (("atmorep_k", "atmorep_k"), ("components", "atmorep_k.components")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [prefix, *path.relative_to(ROOT / folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(parts)] = path.read_text()
    return found


def arrows(modules: Sources) -> dict[str, set[str]]:
    """Return module -> modules of the product that it imports."""
    return {name: set(_imported(name, source, modules)) for name, source in modules.items()}


def _imported(name: str, source: str, modules: Sources) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from {full if full in modules else node.module} & set(modules) - {name}
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & set(modules) - {name}


def package(module: str) -> str:
    """Return the package, or module at the root, that a module belongs to."""
    return [*module.split("."), "atmorep_k"][1]


def against_the_order(modules: Sources) -> list[str]:
    """Return the imports that do not go down."""
    wrong = []
    for module, imported in arrows(modules).items():
        for other in imported if module not in DOORS else ():
            one, two = package(module), package(other)
            if one != two and FLOOR.get(one, 0) >= FLOOR.get(two, -1):
                wrong.append(f"{module} imports {other}")
            if one == "components" and two not in OF_COMPONENTS:
                wrong.append(f"the component {module} imports {other}")
    return wrong


def circles(modules: Sources) -> list[list[str]]:
    """Return the groups of files that import one another (Tarjan 1972)."""
    graph, order, low, found = arrows(modules), {}, {}, []
    stack: list[str] = []

    def visit(module):
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in graph[module]:
            if other not in order:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == order[module]:
            start = stack.index(module)
            found.append(sorted(stack[start:]))
            del stack[start:]

    for module in graph:
        if module not in order:
            visit(module)
    return [circle for circle in found if len(circle) > 1]


def imports_by_name(modules: Sources) -> list[str]:
    """Return the files that import modules by a name in a string."""
    calls = ("import_module", "__import__")
    return [
        module
        for module, source in modules.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in calls
    ]


# Names that stand in two places and mean the same in both: a command, a task and a masking of one
# name; contracts and what fulfils them.
SAME_MEANING = {"Forecast", "Infill"}


def names_with_two_meanings(modules: Sources) -> dict[str, list[str]]:
    """Return public functions and classes that several files define."""
    homes: dict[str, list[str]] = {}
    for module, source in modules.items():
        if package(module) in ("cli", "protocols"):
            continue
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                homes.setdefault(node.name, []).append(module)
    return {n: of for n, of in homes.items() if len(of) > 1 and n not in SAME_MEANING}


def test_a_public_name_has_one_meaning():
    assert names_with_two_meanings(sources()) == {}


def test_imports_go_down():
    assert against_the_order(sources()) == []


def test_no_file_is_in_a_circle():
    assert circles(sources()) == []


def test_an_import_that_goes_up_is_found():
    modules = sources()
    modules["atmorep_k.earth.units"] += "\nfrom atmorep_k.tasks.rollout import rollout\n"
    assert "atmorep_k.earth.units imports atmorep_k.tasks.rollout" in against_the_order(modules)
    assert any("atmorep_k.earth.units" in circle for circle in circles(modules))


def test_a_component_that_knows_too_much_is_found():
    modules = sources()
    name = next(m for m in modules if m.startswith("atmorep_k.components.losses."))
    modules[name] += "\ndef late():\n    import atmorep_k.figures.maps\n"
    assert f"the component {name} imports atmorep_k.figures.maps" in against_the_order(modules)


def test_no_import_hides_in_a_string():
    assert imports_by_name(sources()) == []
    assert imports_by_name({"m": "import importlib\nimportlib.import_module('x')"}) == ["m"]


def test_every_room_has_a_floor():
    rooms = {package(module) for module in sources()} - {"atmorep_k", "__main__", "gin"}
    assert rooms <= set(FLOOR)
    assert len(list((ROOT / "atmorep_k").glob("*.py"))) <= 10


def test_every_package_says_what_it_is_and_is_installed():
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    folders = {"atmorep_k": "atmorep_k", "components": "atmorep_k.components"}
    found = []
    for folder, prefix in folders.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            inner = path.parent.relative_to(ROOT / folder).parts
            found.append(".".join([prefix, *inner]))
            assert ast.get_docstring(ast.parse(path.read_text())), f"{path} says nothing"
            if path.parent.name not in ("atmorep_k", "cli"):  # the facade and the command line
                assert len(path.read_text().splitlines()) <= 40, f"{path} is more than names"
    assert [name for name, number in Counter(listed).items() if number > 1] == []
    assert set(listed) >= set(found)
    assert {n for n in listed if ".gin" not in n} == set(found)


def test_files_can_be_read_at_one_sitting():
    paths = [p for folder in ("atmorep_k", "components") for p in (ROOT / folder).rglob("*.py")]
    lines = {p: len(p.read_text().splitlines()) for p in paths if p.name != "__init__.py"}
    assert {p: n for p, n in lines.items() if n > 450} == {}
    assert statistics.median(lines.values()) >= 110
