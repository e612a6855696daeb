"""What a block search chooses among, as data: the options of every stage, and the networks they make.

The options are like those of MnasNet (1807.11626) and Once-for-All (1908.09791), around the network of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import prod
from typing import Any, NamedTuple

import numpy as np

from mobilenets.arch.build import make_divisible
from mobilenets.arch.cost import MIN_SIZE, SIZE_STEP
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Inverted
from mobilenets.errors import UsageError

Generator = np.random.Generator


@dataclass(frozen=True)
class Options:
    """What may vary, each from the cheapest to the dearest.

    `width` (of a stage's output) and `size` (of the input) are fractions of the base network's, `expand` is a multiple
    of a block's input, `kernel` the depthwise one's, `se` whether the stage's blocks have squeeze-and-excite. A stage's
    depth goes from one block to all that the base network has.
    """

    width: tuple[float, ...] = (0.5, 0.75, 1.0)
    kernel: tuple[int, ...] = (3, 5, 7)
    expand: tuple[int, ...] = (3, 4, 6)
    se: tuple[bool, ...] = (False, True)
    size: tuple[float, ...] = (1 / 2, 2 / 3, 5 / 6, 1.0)


SE_FRACTION = 1 / 4  # of the expansion (1905.02244, §5.3)


class Stage(NamedTuple):
    """What is chosen for a stage."""

    depth: int
    width: float
    kernel: int
    expand: int
    se: bool


@dataclass(frozen=True)
class ArchConfig:
    """One member of a space: the side of its input in pixels, and its stages."""

    size: int
    stages: tuple[Stage, ...]

    @property
    def genotype(self) -> tuple[Any, ...]:
        """Everything that was chosen, in the order of `SearchSpace.options`."""
        return (self.size, *chain.from_iterable(self.stages))

    def describe(self) -> str:
        """The architecture in words."""
        stages = (f"{s.depth}×k{s.kernel} e{s.expand} w{s.width:g}{' SE' if s.se else ''}" for s in self.stages)
        return f"{self.size} px; {', '.join(stages)}"

    @classmethod
    def from_genotype(cls, genotype: Sequence[Any]) -> ArchConfig:
        """The inverse of `genotype`."""
        n = len(Stage._fields)
        return cls(genotype[0], tuple(Stage(*genotype[i : i + n]) for i in range(1, len(genotype), n)))


class SearchSpace:
    """All networks that `options` allow around `base`, whose input is `size` pixels.

    Stem, blocks without an expansion, last convolution and head stay the base network's.

    Raises
    ------
    UserError
        The base network's blocks are not inverted bottlenecks.
    """

    def __init__(self, base: Net, size: int, options: Options | None = None) -> None:
        options = options or Options()
        self.base = base
        rows = [row for row in base.blocks if isinstance(row, Inverted)]
        if len(rows) < len(base.blocks):
            raise UsageError(f"{base.name}: evolve searches among inverted bottlenecks (V2, V3); use --method netadapt")
        self.fixed = _without_expansion(base.stem.out, rows)
        self.stages = _stages(rows, self.fixed)
        if not self.stages:
            raise UsageError(f"{base.name}: it has no block with an expansion to search; use --method netadapt")
        per_stage = [
            (
                tuple(range(1, len(stage) + 1)),
                _widths(rows[stage[0]].out, options.width),
                options.kernel,
                options.expand,
                options.se,
            )
            for stage in self.stages
        ]
        self.options: tuple[tuple[Any, ...], ...] = (_sizes(size, options.size), *chain.from_iterable(per_stage))

    def __len__(self) -> int:
        """How many architectures there are."""
        return prod(map(len, self.options))

    def __contains__(self, arch: ArchConfig) -> bool:
        genotype = arch.genotype
        return len(genotype) == len(self.options) and all(g in o for g, o in zip(genotype, self.options, strict=True))

    @property
    def smallest(self) -> ArchConfig:
        """The cheapest of every option."""
        return ArchConfig.from_genotype([options[0] for options in self.options])

    @property
    def largest(self) -> ArchConfig:
        """The dearest of every option."""
        return ArchConfig.from_genotype([options[-1] for options in self.options])

    def sample(self, rng: Generator) -> ArchConfig:
        """Every gene drawn uniformly from its options."""
        return ArchConfig.from_genotype([_draw(options, rng) for options in self.options])

    def sample_at(self, richness: float, rng: Generator) -> ArchConfig:
        """Any size, and stages of mostly cheap options (`richness` towards 0) or mostly dear ones (towards 1).

        Drawn uniformly, stages all come out middling, and a search ends at others.
        """
        sizes, *stages = self.options
        drawn = (options[rng.binomial(len(options) - 1, richness)] for options in stages)
        return ArchConfig.from_genotype([_draw(sizes, rng), *drawn])

    def mutate(self, arch: ArchConfig, probability: float, rng: Generator) -> ArchConfig:
        """Every gene drawn anew with this probability."""
        pairs = zip(arch.genotype, self.options, strict=True)
        return ArchConfig.from_genotype(
            [_draw(options, rng) if rng.random() < probability else gene for gene, options in pairs]
        )

    def cross(self, one: ArchConfig, other: ArchConfig, rng: Generator) -> ArchConfig:
        """Every gene from either parent."""
        return ArchConfig.from_genotype(
            [pair[rng.integers(2)] for pair in zip(one.genotype, other.genotype, strict=True)]
        )

    def shrink(self, arch: ArchConfig, rng: Generator) -> ArchConfig:
        """One gene that is not its cheapest yet, moved to the next cheaper option; `smallest` stays."""
        return self._moved(arch, -1, rng)

    def grow(self, arch: ArchConfig, rng: Generator) -> ArchConfig:
        """One gene that is not its dearest yet, moved to the next dearer option; `largest` stays."""
        return self._moved(arch, 1, rng)

    def _moved(self, arch: ArchConfig, by: int, rng: Generator) -> ArchConfig:
        genotype, last = list(arch.genotype), 0 if by < 0 else -1
        left = [i for i, options in enumerate(self.options) if genotype[i] != options[last]]
        if left:
            i = left[rng.integers(len(left))]
            genotype[i] = self.options[i][self.options[i].index(genotype[i]) + by]
        return ArchConfig.from_genotype(genotype)

    def sources(self, arch: ArchConfig) -> list[int]:
        """For every block of the chosen network the base network's block in whose place it stands."""
        kept = (stage[: chosen.depth] for stage, chosen in zip(self.stages, arch.stages, strict=True))
        return [*range(self.fixed), *chain.from_iterable(kept)]

    def net(self, arch: ArchConfig) -> Net:
        """The chosen network as an ordinary table."""
        blocks = list(self.base.blocks[: self.fixed])
        channels = blocks[-1].out if blocks else self.base.stem.out
        for stage, chosen in zip(self.stages, arch.stages, strict=True):
            out = make_divisible(self.base.blocks[stage[0]].out * chosen.width)
            for i in stage[: chosen.depth]:
                row = self.base.blocks[i]
                assert isinstance(row, Inverted)
                exp = make_divisible(chosen.expand * channels)
                squeeze = make_divisible(SE_FRACTION * exp) if chosen.se else 0
                shortcut = row.shortcut and not (channels == out and self._widens(i))
                blocks.append(replace(row, kernel=chosen.kernel, exp=exp, out=out, se=squeeze, shortcut=shortcut))
                channels = out
        return replace(self.base, blocks=tuple(blocks))

    def _widens(self, i: int) -> bool:
        """Whether the base network's block has no shortcut for its channels' sake alone.

        Two stages of different widths may come out equally wide. What the base network never added means nothing added.
        """
        row = self.base.blocks[i]
        channels = self.base.blocks[i - 1].out if i else self.base.stem.out
        return row.stride == 1 and channels != row.out


def _draw(options: Sequence[Any], rng: Generator) -> Any:
    return options[int(rng.integers(len(options)))]


def _without_expansion(channels: int, rows: Sequence[Inverted]) -> int:
    """How many blocks at the start have no expansion."""
    for i, row in enumerate(rows):
        if row.exp != channels:
            return i
        channels = row.out
    return len(rows)


def _stages(rows: Sequence[Inverted], start: int) -> tuple[tuple[int, ...], ...]:
    """The blocks from `start` on, parted where the stride or the width changes."""
    stages: list[tuple[int, ...]] = []
    for i in range(start, len(rows)):
        if stages and rows[i].stride == 1 and rows[i].out == rows[i - 1].out:
            stages[-1] += (i,)
        else:
            stages.append((i,))
    return tuple(stages)


def _widths(out: int, fractions: Sequence[float]) -> tuple[float, ...]:
    """The fractions that round to different numbers of channels: no network is two architectures."""
    return tuple({make_divisible(fraction * out): fraction for fraction in fractions}.values())


def _sizes(size: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """The sides that these fractions of `size` round to; all of it stays what it is."""
    rounded = (
        size if fraction == 1 else max(MIN_SIZE, round(fraction * size / SIZE_STEP) * SIZE_STEP)
        for fraction in fractions
    )
    return tuple(sorted({side for side in rounded if side <= size}))
