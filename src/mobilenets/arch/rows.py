"""The vocabulary of the tables: one frozen row per line, which says what it consists of.

Cost, network, weight layouts, pruning groups and `show` are loops over `Row.layers`. A new kind of row is a class with
`kind`, `title` and `layers`, which `ROWS[kind] = TheClass` lets files name.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

from mobilenets.arch.checks import check_channels, check_choice, check_flag, check_kernel, check_whole
from mobilenets.arch.layers import Gate, Layer, depthwise, pointwise
from mobilenets.errors import UsageError

ACTIVATIONS = ("none", "relu", "relu6", "hswish")


class Row(ABC):
    """One line of a table: a frozen dataclass of whole numbers, activations and flags, all channels absolute.

    Examples
    --------
    >>> row = Inverted(kernel=3, exp=64, out=24, se=0, act="relu6", stride=2)
    >>> [layer.name for layer in row.layers(channels=16)]
    ['expand', 'depthwise', 'project']
    >>> row.residual(channels=16)
    False
    """

    kind: ClassVar[str]
    has_optional_kernel: ClassVar[bool] = False  # where 0 leaves a convolution out
    kernel: int
    out: int
    act: str
    stride: int
    dilation: int

    @abstractmethod
    def layers(self, channels: int) -> Iterator[Layer | Gate]:
        """Its layers, first to last, where `channels` come in."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The operator in its paper's words."""

    def residual(self, channels: int) -> bool:
        """Whether the input is added to the output, where `channels` come in."""
        return False

    def check(self) -> None:
        """Every number is of its kind and in its range.

        Raises
        ------
        UserError
            One is not.
        """
        check_choice("act", self.act, ACTIVATIONS)
        check_whole("stride", self.stride, 1, 2)
        check_channels("out", self.out)
        check_whole("dilation", self.dilation, 1, 64)
        check_kernel("kernel", self.kernel, self.has_optional_kernel)


AnyRow = TypeVar("AnyRow", bound=Row)


def changed(row: AnyRow, **values: Any) -> AnyRow:
    """A copy of `row` with other values."""
    return cast(AnyRow, dataclasses.replace(cast(Any, row), **values))


@dataclass(frozen=True)
class Conv(Row):
    """A full convolution, BatchNorm, activation."""

    kind: ClassVar[str] = "conv"
    kernel: int
    out: int
    act: str
    stride: int
    dilation: int = 1

    def layers(self, channels: int) -> Iterator[Layer | Gate]:
        """The convolution."""
        yield Layer("", self.kernel, channels, self.out, self.act, self.stride, self.dilation, field="out")

    @property
    def title(self) -> str:
        """The operator in V3's words."""
        return f"conv2d, {self.kernel}x{self.kernel}"


@dataclass(frozen=True)
class Separable(Row):
    """V1: depthwise convolution, BatchNorm, ReLU6; 1×1 convolution, BatchNorm, ReLU6 (1704.04861, Fig. 3)."""

    kind: ClassVar[str] = "separable"
    kernel: int
    out: int
    act: str
    stride: int
    dilation: int = 1

    def layers(self, channels: int) -> Iterator[Layer | Gate]:
        """Depthwise, pointwise."""
        yield depthwise("depthwise", self.kernel, channels, self.act, self.stride, self.dilation, None)
        yield pointwise("pointwise", channels, self.out, self.act, "out")

    @property
    def title(self) -> str:
        """The operator in words."""
        return f"separable, {self.kernel}x{self.kernel}"


@dataclass(frozen=True)
class Inverted(Row):
    """V2 and V3: expand to `exp` channels, depthwise, squeeze-and-excite over `se` channels, project linearly.

    `exp` equal to the input means no expansion convolution; `se` 0 means none (1801.04381 §3.3; 1905.02244 §5).
    The input is added to the output where stride and channels allow it, unless `shortcut` is False.
    """

    kind: ClassVar[str] = "inverted"
    kernel: int
    exp: int
    out: int
    se: int
    act: str
    stride: int
    dilation: int = 1
    shortcut: bool = True

    def layers(self, channels: int) -> Iterator[Layer | Gate]:
        """Expand, depthwise, squeeze-and-excite, project.

        The projection has no activation: in the narrow space ReLU would destroy information that no later layer can
        restore (1801.04381, §3.2 and Fig. 6a).
        """
        if self.exp != channels:
            yield pointwise("expand", channels, self.exp, self.act, "exp")
        yield depthwise("depthwise", self.kernel, self.exp, self.act, self.stride, self.dilation, "exp")
        if self.se:
            yield Gate("se", self.exp, self.se)
        yield pointwise("project", self.exp, self.out, "none", "out")

    def residual(self, channels: int) -> bool:
        """Where stride and channels allow it."""
        return self.shortcut and self.stride == 1 and channels == self.out

    @property
    def title(self) -> str:
        """The operator in V3's words."""
        return f"bneck, {self.kernel}x{self.kernel}"

    def check(self) -> None:
        """As `Row.check`."""
        super().check()
        check_channels("exp", self.exp)
        check_channels("se", self.se, 0)
        check_flag("shortcut", self.shortcut)


@dataclass(frozen=True)
class Universal(Row):
    """V4's universal inverted bottleneck: optional depthwise before and after the expansion (2404.10518, §3).

    A kernel of 0 leaves that depthwise convolution out. The stride sits on the middle one where there is
    one, else on the first.
    """

    kind: ClassVar[str] = "universal"
    has_optional_kernel: ClassVar[bool] = True
    start: int
    kernel: int
    exp: int
    out: int
    act: str
    stride: int
    dilation: int = 1

    def layers(self, channels: int) -> Iterator[Layer | Gate]:
        """Depthwise (linear), expand, depthwise, project (linear)."""
        if self.start:
            stride = 1 if self.kernel else self.stride
            yield depthwise("start", self.start, channels, "none", stride, self.dilation, None)
        yield pointwise("expand", channels, self.exp, self.act, "exp")
        if self.kernel:
            yield depthwise("depthwise", self.kernel, self.exp, self.act, self.stride, self.dilation, "exp")
        yield pointwise("project", self.exp, self.out, "none", "out")

    def residual(self, channels: int) -> bool:
        """Where stride and channels allow it."""
        return self.stride == 1 and channels == self.out

    @property
    def title(self) -> str:
        """2404.10518, Fig. 4: which of the two depthwise convolutions are there makes four blocks of one."""
        if self.start and self.kernel:
            return f"extra DW, {self.start}x{self.start} {self.kernel}x{self.kernel}"
        if self.start:
            return f"ConvNext, {self.start}x{self.start}"
        return f"IB, {self.kernel}x{self.kernel}" if self.kernel else "FFN"

    def check(self) -> None:
        """As `Row.check`; a stride has to sit on one of the depthwise convolutions."""
        super().check()
        check_kernel("start", self.start, optional=True)
        check_channels("exp", self.exp)
        if self.stride > 1 and not (self.start or self.kernel):
            raise UsageError(f"stride: {self.stride} in a block without a depthwise convolution")


@dataclass(frozen=True)
class Fused(Row):
    """V4's fused inverted bottleneck: a full convolution expands, a 1×1 convolution projects linearly."""

    kind: ClassVar[str] = "fused"
    kernel: int
    exp: int
    out: int
    act: str
    stride: int
    dilation: int = 1

    def layers(self, channels: int) -> Iterator[Layer | Gate]:
        """Expand, project."""
        yield Layer("expand", self.kernel, channels, self.exp, self.act, self.stride, self.dilation, field="exp")
        yield pointwise("project", self.exp, self.out, "none", "out")

    def residual(self, channels: int) -> bool:
        """Where stride and channels allow it."""
        return self.stride == 1 and channels == self.out

    @property
    def title(self) -> str:
        """The operator in words."""
        return f"fused IB, {self.kernel}x{self.kernel}"

    def check(self) -> None:
        """As `Row.check`."""
        super().check()
        check_channels("exp", self.exp)


# What `Net.from_dict` finds a row by. A kind of row from elsewhere joins by `ROWS[ItsClass.kind] = ItsClass`.
ROWS: dict[str, type[Row]] = {row.kind: row for row in (Conv, Separable, Inverted, Universal, Fused)}
