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
from mobilenets.errors import UserError

Generator = np.random.Generator


@dataclass(frozen=True)
class Options:
    """What may vary, each from the cheapest to the dearest.

    `width` (of a stage's output) and `size` (of the input) are shares of the seed's, `expand` is a multiple of
    a block's input, `kernel` the depthwise one's, `se` whether the stage's blocks have squeeze-and-excite. A stage's
    depth goes from one block to all that the seed has.
    """

    width: tuple[float, ...] = (0.5, 0.75, 1.0)
    kernel: tuple[int, ...] = (3, 5, 7)
    expand: tuple[int, ...] = (3, 4, 6)
    se: tuple[bool, ...] = (False, True)
    size: tuple[float, ...] = (1 / 2, 2 / 3, 5 / 6, 1.0)


SE_SHARE = 1 / 4  # of the expansion (1905.02244, §5.3)


class Stage(NamedTuple):
    """What is chosen for a stage."""

    depth: int
    width: float
    kernel: int
    expand: int
    se: bool


@dataclass(frozen=True)
class Choice:
    """One member of a space: the side of its input in pixels, and its stages."""

    size: int
    stages: tuple[Stage, ...]

    @property
    def genes(self) -> tuple[Any, ...]:
        """Everything that was chosen, in the order of `Space.options`."""
        return (self.size, *chain.from_iterable(self.stages))

    @classmethod
    def of(cls, genes: Sequence[Any]) -> Choice:
        """The inverse of `genes`."""
        n = len(Stage._fields)
        return cls(genes[0], tuple(Stage(*genes[i : i + n]) for i in range(1, len(genes), n)))


class Space:
    """All networks that `options` allow around `seed`, whose input is `size` pixels.

    Stem, blocks without an expansion, last convolution and head stay the seed's.

    Raises:
        UserError: the seed's blocks are not inverted bottlenecks.
    """

    def __init__(self, seed: Net, size: int, options: Options | None = None) -> None:
        options = options or Options()
        self.seed = seed
        rows = [row for row in seed.blocks if isinstance(row, Inverted)]
        if len(rows) < len(seed.blocks):
            raise UserError(f"{seed.name}: evolve searches among inverted bottlenecks (V2, V3); use --method netadapt")
        self.fixed = _without_expansion(seed.stem.out, rows)
        self.stages = _stages(rows, self.fixed)
        if not self.stages:
            raise UserError(f"{seed.name}: it has no block with an expansion to search; use --method netadapt")
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
        """How many choices there are."""
        return prod(map(len, self.options))

    def __contains__(self, choice: Choice) -> bool:
        genes = choice.genes
        return len(genes) == len(self.options) and all(g in o for g, o in zip(genes, self.options, strict=True))

    @property
    def smallest(self) -> Choice:
        """The cheapest of every option."""
        return Choice.of([options[0] for options in self.options])

    @property
    def largest(self) -> Choice:
        """The dearest of every option."""
        return Choice.of([options[-1] for options in self.options])

    def sample(self, rng: Generator) -> Choice:
        """Every gene drawn uniformly from its options."""
        return Choice.of([_draw(options, rng) for options in self.options])

    def sample_at(self, richness: float, rng: Generator) -> Choice:
        """Any size, and stages of mostly cheap options (`richness` towards 0) or mostly dear ones (towards 1).

        Drawn uniformly, stages all come out middling, and a search ends at others.
        """
        sizes, *stages = self.options
        drawn = (options[rng.binomial(len(options) - 1, richness)] for options in stages)
        return Choice.of([_draw(sizes, rng), *drawn])

    def mutate(self, choice: Choice, probability: float, rng: Generator) -> Choice:
        """Every gene drawn anew with this probability."""
        pairs = zip(choice.genes, self.options, strict=True)
        return Choice.of([_draw(options, rng) if rng.random() < probability else gene for gene, options in pairs])

    def cross(self, one: Choice, other: Choice, rng: Generator) -> Choice:
        """Every gene from either parent."""
        return Choice.of([pair[rng.integers(2)] for pair in zip(one.genes, other.genes, strict=True)])

    def shrink(self, choice: Choice, rng: Generator) -> Choice:
        """One gene that is not its cheapest yet, moved to the next cheaper option; `smallest` stays."""
        return self._moved(choice, -1, rng)

    def grow(self, choice: Choice, rng: Generator) -> Choice:
        """One gene that is not its dearest yet, moved to the next dearer option; `largest` stays."""
        return self._moved(choice, 1, rng)

    def _moved(self, choice: Choice, by: int, rng: Generator) -> Choice:
        genes, last = list(choice.genes), 0 if by < 0 else -1
        left = [i for i, options in enumerate(self.options) if genes[i] != options[last]]
        if left:
            i = left[rng.integers(len(left))]
            genes[i] = self.options[i][self.options[i].index(genes[i]) + by]
        return Choice.of(genes)

    def sources(self, choice: Choice) -> list[int]:
        """For every block of the chosen network the seed's block in whose place it stands."""
        kept = (stage[: chosen.depth] for stage, chosen in zip(self.stages, choice.stages, strict=True))
        return [*range(self.fixed), *chain.from_iterable(kept)]

    def net(self, choice: Choice) -> Net:
        """The chosen network as an ordinary table."""
        blocks = list(self.seed.blocks[: self.fixed])
        channels = blocks[-1].out if blocks else self.seed.stem.out
        for stage, chosen in zip(self.stages, choice.stages, strict=True):
            out = make_divisible(self.seed.blocks[stage[0]].out * chosen.width)
            for i in stage[: chosen.depth]:
                row = self.seed.blocks[i]
                assert isinstance(row, Inverted)
                exp = make_divisible(chosen.expand * channels)
                squeeze = make_divisible(SE_SHARE * exp) if chosen.se else 0
                shortcut = row.shortcut and not (channels == out and self._widens(i))
                blocks.append(replace(row, kernel=chosen.kernel, exp=exp, out=out, se=squeeze, shortcut=shortcut))
                channels = out
        return replace(self.seed, blocks=tuple(blocks))

    def _widens(self, i: int) -> bool:
        """Whether the seed's block has no shortcut for its channels' sake alone.

        Two stages of different widths may come out equally wide, but what the seed never added means nothing added.
        """
        row = self.seed.blocks[i]
        channels = self.seed.blocks[i - 1].out if i else self.seed.stem.out
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


def _widths(out: int, shares: Sequence[float]) -> tuple[float, ...]:
    """The shares that round to different numbers of channels: no network is two choices."""
    return tuple({make_divisible(share * out): share for share in shares}.values())


def _sizes(size: int, shares: Sequence[float]) -> tuple[int, ...]:
    """The sides that these shares of `size` round to; all of it stays what it is."""
    rounded = (size if share == 1 else max(MIN_SIZE, round(share * size / SIZE_STEP) * SIZE_STEP) for share in shares)
    return tuple(sorted({side for side in rounded if side <= size}))
