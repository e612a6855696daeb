"""What a photograph is asked: the one interface by which loop, exports, runtime, service and report know a task.

A task is a folder with five small files: `targets.py` (labels, read and checked), `answers.py` (outputs become
answers), `metrics.py` (how right they are), `head.py` (what an exported graph adds behind the network) and `loss.py`
(what is trained for). The first three need numpy alone, as they run where no torch is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mobilenets.tasks.ends import End, Suppression
from mobilenets.tasks.label_fault import LabelFault

if TYPE_CHECKING:
    from torch import Tensor

    from mobilenets.arch.net import Net
    from mobilenets.model_card import ModelCard
    from mobilenets.tasks.mark import Mark

Outputs = NDArray[np.floating[Any]]
"""What a network answers, float32 (N, W): a row for each photograph."""
Labels = NDArray[np.int64]
"""Of each photograph (N,) the number of its label among the label texts that occur."""
UNKNOWN = -1  # among them: one that a model has no answer for


class Answer(Protocol):
    """What one photograph was answered, of which `path` says which it is (None: one in memory)."""

    @property
    def path(self) -> str | None:
        """The file."""

    @property
    def title(self) -> tuple[str, str]:
        """What stands above its picture: what may be shortened, and what may not."""

    @property
    def marks(self) -> Sequence[Mark]:
        """The places in the photo that it speaks of, the most certain first."""

    @property
    def heat(self) -> NDArray[np.float32] | None:
        """How strange each place is, float32 (h, w), 0 to 1, over what the network sees; None: it tells no places."""

    def cut(self, top: int | None) -> Answer:
        """Of several possibilities the `top` best alone (None: all)."""

    def to_dict(self) -> dict[str, Any]:
        """What JSON says of it, besides the path."""

    def lines(self, classes: Sequence[str]) -> list[str]:
        """What a person reads."""

    def cells(self, top: int) -> dict[str, str]:
        """What a CSV says of it, by the names of `Task.columns`."""


A = TypeVar("A", bound=Answer)


class Loss(Protocol):
    """What training makes small."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch: raw outputs float (N, W) of the network, targets float (N, T)."""

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of how many of the batch the answer is right, of which the loop shows the fraction."""


class Task(ABC, Generic[A]):
    """A question that photos are asked.

    Attributes
    ----------
    name : str
        In the model card and in `TASKS`.
    label : str
        The column of a CSV that has its labels, by which data tells its task.
    outputs : tuple of str
        The names of what `head` gives, in an exported file.
    fields : dict of str to type
        What `Answer.to_dict` gives, by name; the types as annotations of a dataclass have them.
    labels_are_classes : bool
        Whether each label text is a class, of which the others know too, so that a rare one is told.
    probe : str or None
        How a last layer is fitted to features of a frozen network: "softmax", where one class excludes the others;
        "sigmoid", each class by itself, as `members` says; "loop": what comes behind the backbone is trained by the
        loop itself; "bank": patches of the photos are kept, and no loop follows; None: not at all.
    has_boxes : bool
        Whether answers say where in the photo something is: it is then seen whole, and nothing of it may be mixed,
        erased or turned in a way that `framed` does not know.
    reads : tuple of str
        Other tasks whose label texts are its own too.
    quality : str
        The figure, the higher the better, by which training chooses: `val_…` in history.csv.
    train_quality : str
        The fraction of right answers (`Loss.right`) that the loop counts: `train_…` in history.csv.
    headline : tuple of str
        The main figures of `score`: those told of test photos.
    is_audited : bool
        Whether `audit` knows what can be wrong with data for it.
    label_kinds, kinds_left_out : tuple of str
        The kinds of faults that reading its labels and `label_faults` find; those of an audit that say nothing for it.
    tells_unknown : bool
        Whether answers say how known a photo is (`with_known`): its runs then have an index of the training photos.
    thresholds : tuple of float
        From which output on each class is there, where validation photos choose that; in the model card.

    Notes
    -----
    In all methods:

    * label texts (`labels`, or `texts` beside numbers): the V different texts of the label column;
    * `labels` beside `texts`: int64 (N,), of each photo the number of its text;
    * `classes`: the names in the model card, in the order of the outputs;
    * `outputs`: float32 (N, W), a row for each photo, `finished`; `row`: one of them, (W,);
    * `targets`: float32 (V, T), what the network is to say of a photo with each text.

    Examples
    --------
    >>> from mobilenets.tasks import TASKS
    >>> task = TASKS["classify"]
    >>> task.width(("daisy", "rose")), task.quality
    (2, 'accuracy')
    >>> task.answer("rose.jpg", np.array([0.25, 0.75], np.float32), ("daisy", "rose")).label
    'rose'
    """

    name: ClassVar[str]
    label: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    fields: ClassVar[dict[str, Any]]
    labels_are_classes: ClassVar[bool]
    has_boxes: ClassVar[bool] = False
    probe: ClassVar[str | None] = None
    reads: ClassVar[tuple[str, ...]] = ()
    quality: ClassVar[str]
    train_quality: ClassVar[str]
    headline: ClassVar[tuple[str, ...]]
    is_audited: ClassVar[bool] = False
    label_kinds: ClassVar[tuple[str, ...]] = ()
    kinds_left_out: ClassVar[tuple[str, ...]] = ()
    tells_unknown: ClassVar[bool] = False
    thresholds: tuple[float, ...] = ()

    @property
    def suppression(self) -> Suppression | None:
        """What files whose graphs can do it do behind `head`; see `mobilenets.exporting.nms`."""
        return None

    def of(self, card: ModelCard) -> Task[A]:
        """The task as a trained model answers it, with what its card has settled."""
        return self

    def of_network(self, net: Net) -> Task[A]:
        """The task as the network of the table `net` answers it, with what that has settled."""
        return self

    def settled(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> Task[A]:
        """The task with what the answers to validation photographs decide; arguments as of `score`."""
        return self

    def network(self, name: str | None) -> str | None:
        """The network that is trained where `name` is asked for; None: the usual one."""
        return name

    def recipe(self, images: int, labels: Sequence[str]) -> dict[str, Any]:
        """What training from so many `images` with these `labels` does differently, by names of the recipe."""
        return {}

    @abstractmethod
    def check(self, data: Path, labels: Sequence[str], images: int) -> None:
        """Refuse `labels` that nothing can be learned from; `images` photos of `data` have them.

        Raises
        ------
        DataError
            In a line that names `data` and the remedy.
        """

    @abstractmethod
    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The names that the model card lists for these `labels`; none where answers are no names."""

    @abstractmethod
    def targets(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """What the network is to say, float32 (V, T), of a photo with each of the V `labels`."""

    def points(self, labels: Sequence[str]) -> list[NDArray[np.float32]] | None:
        """Of photos with each of `labels` the places (M, 2), 0 to 1, one of which a training crop shows; None: any."""
        return None

    def framed(self, targets: Tensor, frames: Tensor) -> Tensor:
        """The `targets` (N, T) of photos as inputs show them: `frames` float (N, 6), each a `crops.Frame`."""
        return targets

    def members(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Which of the K `classes` each label text has, bool (V, K); K is 0 where a text is a class itself."""
        return np.zeros((len(labels), 0), np.bool_)

    def shown(self, text: str) -> str:
        """What a label text says of what a photo shows, in which copies of one photo have to agree."""
        return text

    def label_faults(self, labels: Sequence[str], counts: Labels, size: int) -> Iterator[LabelFault]:
        """What is wrong with `labels`, of which `counts` (V,) photos each have one, for an input of `size` pixels."""
        return iter(())

    @abstractmethod
    def strata(self, labels: Sequence[str], counts: Labels) -> Labels:
        """Which of the V `labels` are held out for validation in the same proportion: int64 (V,), equal for those.

        `counts`: int64 (V,), photos of each.
        """

    def num_strata(self, classes: Sequence[str]) -> int:
        """How many numbers `strata` can give to labels of `classes`: one for each, and one for none of them."""
        return len(classes) + 1

    def numbered(self, labels: Sequence[str], classes: Sequence[str]) -> tuple[list[int], Sequence[str]]:
        """The number that a model with `classes` has for each of `labels` (`UNKNOWN`: none), and what it numbers."""
        return list(range(len(labels))), labels

    @abstractmethod
    def width(self, classes: Sequence[str]) -> int:
        """How many outputs, W, a network for `classes` has."""

    def ends(self, card: ModelCard) -> tuple[End, ...]:
        """What a file with this card gives, besides features."""
        return tuple(End(name, (card.net.num_classes,)) for name in self.outputs)

    @abstractmethod
    def answer(self, path: str | None, row: Outputs, classes: Sequence[str]) -> A:
        """The answer that one `row` (W,) is, of the photo at `path` (None: one in memory)."""

    def finished(self, *ends: NDArray[Any]) -> Outputs:
        """What all other methods take for outputs, float32 (N, W), of what `head` or a file gave: its `ends`."""
        return ends[0]

    def with_size(self, answer: A, size: tuple[int, int]) -> A:
        """The `answer` with the `size` of its upright photo, width and height in pixels."""
        return answer

    def with_known(self, answer: A, known: float, nearest: tuple[str, ...], is_accepted: bool) -> A:
        """The `answer` with how `known` its photo is, 0 to 1, and the `nearest` training photos, the nearest first.

        `is_accepted`: whether that is known enough to be answered. A task without a word for it says nothing.
        """
        return answer

    @abstractmethod
    def columns(self, top: int) -> list[str]:
        """The columns of a CSV of answers with `top` possibilities each."""

    @abstractmethod
    def recorded(self, classes: Sequence[str]) -> list[str]:
        """The columns of predictions.csv behind `path` and `label`, of a model with `classes`."""

    @abstractmethod
    def record(self, row: Outputs, classes: Sequence[str]) -> list[str]:
        """What predictions.csv says of a `row` (W,), in the columns of `recorded`."""

    @abstractmethod
    def score(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> dict[str, Any]:
        """The content of metrics.json, with `quality` and `n` among it, of `outputs` (N, W) and `labels` (N,)."""

    @abstractmethod
    def validate(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> tuple[float, float]:
        """Loss and quality alone, of the same as `score`, which is what training chooses by after every epoch."""

    @abstractmethod
    def compare(self, expected: Outputs, found: Outputs) -> tuple[float, float]:
        """The fraction of photos with the same answer in `expected` and `found`, (N, W), and the largest difference."""

    @abstractmethod
    def head(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """From what the network gives, float (N, …), to `outputs`; a part of the exported graph.

        A detector's is also taken in the parts that `Detector.forward_parts` gives.
        """

    @abstractmethod
    def loss(self, labels: Labels, targets: Tensor, balanced: bool, smoothing: float) -> Loss:
        """The loss for photos with these `labels` (N,), of which `targets` (V, T) say what is wanted.

        `balanced`: what is rare counts more; `smoothing`: of the labels, 0 to 1.
        """
