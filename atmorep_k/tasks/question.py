"""What a saved model can be asked, as classes: one per task.

The fields of such a class, with their types, defaults and help texts, are the parameters of the
task everywhere: of the Python function (`function_of`), of the command (`cli.asking`) and of gin
files (`run.task = @forecast()`). These modules stay light, so that the command line answers at
once: what needs NumPy or Keras is imported when the question is asked.
"""

import abc
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar, cast, dataclass_transform

from atmorep_k.errors import UserError, unknown

if TYPE_CHECKING:
    import xarray as xr

    from atmorep_k.inference.plan import Prepared
    from atmorep_k.inference.request import Answer, Domain, Output, Task

Progress = Callable[[int, int], None]
Parameters = ParamSpec("Parameters")
Class = TypeVar("Class")


@dataclasses.dataclass(frozen=True)
class Option:
    """How a parameter of a question appears on the command line.

    Args:
        help: what it means; `TIME` and other words in capitals are those of the command line.
        flag: such as `"--store-of"`; `--` and the name of the parameter if None; an argument
            without a flag if empty.
        metavar: stands for the value in help texts.
        count: how many values are given at once; None for one.
        repeat: whether the flag may be repeated.
        of: type of one value; that of the type hint if None.
        required: whether a command needs it, even if a function does not.
        shown: whether it is on the command line at all.
        default_text: the default in words, where it is not the value itself.
    """

    help: str
    flag: str | None = None
    metavar: str | None = None
    count: int | None = None
    repeat: bool = False
    of: type | None = None
    required: bool = False
    shown: bool = True
    default_text: str = ""


def option(
    help: str, *, default: Any = dataclasses.MISSING, kw_only: bool = True, **options
) -> Any:
    """Returns the dataclass field of a parameter.

    Args:
        help: what it means.
        default: its default; none if missing.
        kw_only: whether it must be given with its name in Python.
        **options: of an `Option`.
    """
    metadata = {"option": Option(help, **options)}
    return dataclasses.field(default=default, kw_only=kw_only, metadata=metadata)


def store_option(flag: str, help: str = "Store, or 'demo'.", **options) -> Any:
    """Returns the dataclass field of a store."""
    return option(help, flag=flag, metavar="STORE", **options)


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(option, store_option)
)
def question_dataclass(cls: type[Class]) -> type[Class]:
    """Makes a frozen dataclass of a class whose fields are written with `option`."""
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


@question_dataclass
class Question(abc.ABC):
    """What can be asked; a subclass is one task, and its fields are the task's parameters.

    Attributes:
        name: of the function, the command and the task in gin files.
        example: the arguments of a command that works.
        dry_run: whether `costs.prediction` can estimate what it would take.
    """

    name: ClassVar[str]
    example: ClassVar[str]
    dry_run: ClassVar[bool] = False

    output: str | Path | None = option(
        "File or directory to write; None keeps the result in memory.", default=None, required=True
    )
    overwrite: bool = option("Replace an existing output.", default=False)
    progress: Progress | None = option(
        "Called with the number of steps done and their total.", default=None, shown=False
    )

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring: what help texts say of the task."""
        return (inspect.getdoc(cls) or "").splitlines()[0]

    @abc.abstractmethod
    def ask(self) -> "xr.Dataset":
        """Returns the result, and writes it to `output` if there is one.

        Raises:
            UserError: if something does not fit; checked before work begins.
        """

    @abc.abstractmethod
    def present(self) -> list[Path]:
        """Asks, with a progress bar, and shows the result: a table on stderr, pictures on disk.

        Returns:
            The paths of what was written.

        Raises:
            UserError: as `ask`.
        """

    def check_dry_run(self) -> None:
        """Raises a `UserError` where the task cannot estimate what it would take."""
        if not self.dry_run:
            raise UserError(
                f"{self.name!r} has no --dry-run: it checks everything before it begins, and its "
                f"output appears when it is complete."
            )

    @property
    def output_path(self) -> Path:
        """Where the output lies.

        Raises:
            UserError: if `output` is missing.
        """
        if self.output is None:
            raise UserError(f"{self.name}.output is missing: give the file or directory to write.")
        return Path(self.output)

    @property
    def record(self) -> Path:
        """Where the configuration of a question is kept: beside its output.

        Raises:
            UserError: where there is no output.
        """
        output = self.output_path
        return output.with_name(f"{output.stem}_config.gin")


@question_dataclass
class ModelQuestion(Question):
    """What a model is asked on a store."""

    model: Any = option(
        "Saved model, or the directory of its run; in Python also an opened model.",
        kw_only=False,
        flag="",
        metavar="MODEL",
        of=str,
    )
    store: str = store_option("--store", kw_only=False)
    stores: Mapping[str, str] | Sequence[str] | None = option(
        "Another store for a field (or an alias of it); may be repeated.",
        default=None,
        flag="--store-of",
        metavar="FIELD=STORE",
        repeat=True,
        of=str,
    )

    def __post_init__(self):
        object.__setattr__(self, "stores", store_pairs(self.stores))


@question_dataclass
class TimesQuestion(ModelQuestion):
    """What a model is asked about several times, window by window."""

    times: Sequence[str] = option(
        "Time of a prediction in UTC, such as 2021-02-10T06; may be repeated.",
        kw_only=False,
        flag="--time",
        metavar="TIME",
        repeat=True,
    )
    batch_size: int = option("Number of windows in a batch.", default=16)


@question_dataclass
class GridQuestion(TimesQuestion):
    """A prediction on the grid of a store or on a region of it.

    Attributes:
        heading: of the pictures.
        unit: what progress counts.
    """

    heading: ClassVar[str] = ""
    unit: ClassVar[str] = "windows"

    region: Sequence[float] | None = option(
        "South, north, west and east in degrees.",
        default=None,
        metavar="S N W E",
        count=4,
        default_text="whole grid",
    )
    output: str | Path | None = option(
        "FILE.zarr or FILE.nc, written time by time; maps go to FILE_plots/.",
        default=None,
        required=True,
    )
    resume: bool = option(
        "Resume where the same call was stopped (.zarr only).",
        default=False,
    )

    def answer(self) -> "Answer":
        """Returns the prediction, and the model and the stores it was made with."""
        from atmorep_k.inference.running import run_task

        return run_task(
            self.model,
            self.times,
            self._task(),
            self._domain(),
            self._output(),
            batch_size=self.batch_size,
            progress=self.progress,
        )

    def plan(self) -> "Prepared":
        """Returns the prediction opened and checked, ready to begin."""
        from atmorep_k.inference.plan import plan_prediction

        request = (self._task(), self._domain(), self._output())
        return plan_prediction(self.model, self.times, *request, self.batch_size)

    @abc.abstractmethod
    def _task(self) -> "Task":
        """Returns what the model does with its windows."""

    def ask(self) -> "xr.Dataset":
        """Returns the prediction."""
        return self.answer().prediction

    def present(self) -> list[Path]:
        """Asks, prints scores to stderr and draws maps into `<stem of output>_plots`."""
        from atmorep_k.tasks.presenting import show_prediction, watched

        answer = watched(self, "predicting", self.unit)
        with answer.prediction:
            findings = self.findings(answer)
        return show_prediction(findings, self.output_path)

    def findings(self, answer: "Answer") -> Any:
        """Returns what is printed and drawn: has `remark`, `table()` and `draw(directory)`."""
        from atmorep_k.evaluation.verification import verify

        return verify(answer.prediction, answer.model, answer.stores, self.heading)

    def _domain(self) -> "Domain":
        from atmorep_k.inference.request import Domain

        asked = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        taken = {f.name for f in dataclasses.fields(Domain)}
        return Domain(**{name: value for name, value in asked.items() if name in taken})

    def _output(self) -> "Output":
        from atmorep_k.inference.request import Output

        members = getattr(self, "members", True)
        return Output(self.output, self.overwrite, self.resume, members)


@question_dataclass
class FieldsQuestion(GridQuestion):
    """A prediction on a grid of chosen fields, with or without all members."""

    fields: str | Sequence[str] | None = option(
        "Predicted fields to write, all on one grid.",
        default=None,
        metavar="A,B",
        of=str,
        default_text="all",
    )
    members: bool = option("Write all members, or only their mean and spread.", default=True)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "fields", names(self.fields))


@question_dataclass
class Blended:
    """A prediction whose windows may share points: to be inherited beside a question."""

    overlap: Sequence[int] = option(
        "Tokens of the first written field that neighbouring windows share in (lat, lon), at most "
        "half a window; there they are blended.",
        default=(0, 0),
        metavar="LAT LON",
        count=2,
        of=int,
    )


def names(given: str | Sequence[str] | None) -> Sequence[str] | None:
    """Returns the names of a list with commas; None and sequences as they are."""
    if not isinstance(given, str):
        return given
    return [name.strip() for name in given.split(",") if name.strip()]


def store_pairs(given: Mapping[str, str] | Sequence[str] | None) -> Mapping[str, str] | None:
    """Returns field -> store for a mapping, or for texts such as `"t2m=surface.zarr"`.

    Raises:
        UserError: if a text lacks either part.
    """
    if given is None or isinstance(given, Mapping):
        return given
    for pair in given:
        if not all(pair.partition("=")):
            raise UserError(f"{pair!r} is not FIELD=STORE, as in t2m=surface.zarr.")
    return dict(pair.split("=", 1) for pair in given) or None


def function_of(question: Callable[Parameters, Question]) -> "Callable[Parameters, xr.Dataset]":
    """Returns the Python function of a task: its parameters are the fields of the question.

    The function raises a `UserError` that names the nearest parameter where one is misspelt.
    """

    # A callable for type checkers, so that they know the parameters; what comes is the class.
    asked = cast(type[Question], question)
    known = [field.name for field in dataclasses.fields(asked)]

    @functools.wraps(question, assigned=("__module__",), updated=())
    def ask(*args: Parameters.args, **kwargs: Parameters.kwargs) -> "xr.Dataset":
        for name in kwargs:
            if name not in known:
                raise unknown(f"parameter of {asked.name}", name, known)
        return question(*args, **kwargs).ask()

    ask.__name__ = ask.__qualname__ = asked.name
    ask.__doc__ = _documentation(asked)
    return ask


def meanings(question: type[Question]) -> dict[str, str]:
    """Returns parameter of a task -> what it means."""
    return {f.name: f.metadata["option"].help for f in dataclasses.fields(question)}


def _documentation(question: type[Question]) -> str:
    """Returns the text of the class with the parameters put in before what is returned."""
    described = meanings(question)
    parameters = inspect.signature(question).parameters
    lines = [f"    {name}: {described[name]}" for name in parameters]
    text, returns, rest = (inspect.getdoc(question) or "").partition("\n\nReturns:")
    return "\n".join([text, "", "Args:", *lines]) + returns + rest
