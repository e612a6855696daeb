"""A space of networks: whatever is drawn, changed or crossed stays inside it and is an ordinary table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.arch import build
from mobilenets.arch.cost import total
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Inverted
from mobilenets.errors import UserError
from mobilenets.searching.evolution.space import ArchConfig, Options, SearchSpace, Stage

SPACES = [
    SearchSpace(build("mobilenet_v2"), 192),
    SearchSpace(build("mobilenet_v2", width=0.35), 48),
    SearchSpace(build("mobilenet_v3_large"), 224),
    SearchSpace(build("mobilenet_v3_small", width=0.5), 64),
    SearchSpace(build("mobilenet_v2"), 96, Options(width=(1.0,), kernel=(3,), se=(False,), size=(1.0,))),
]
spaces = st.sampled_from(SPACES)
seeds = st.integers(0, 2**32 - 1)


@given(spaces, seeds)
def test_a_drawn_network_is_in_the_space(space: SearchSpace, seed: int) -> None:
    assert space.sample(np.random.default_rng(seed)) in space


@given(spaces, seeds, st.floats(0, 1))
def test_a_network_drawn_as_rich_as_asked_is_in_the_space(space: SearchSpace, seed: int, richness: float) -> None:
    assert space.sample_at(richness, np.random.default_rng(seed)) in space


@given(spaces, seeds)
def test_the_poorest_and_the_richest_stages_are_those_of_the_smallest_and_the_largest(
    space: SearchSpace, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    assert space.sample_at(0.0, rng).stages == space.smallest.stages
    assert space.sample_at(1.0, rng).stages == space.largest.stages


@given(spaces, seeds, st.floats(0, 1))
def test_a_mutated_network_is_in_the_space(space: SearchSpace, seed: int, probability: float) -> None:
    rng = np.random.default_rng(seed)
    assert space.mutate(space.sample(rng), probability, rng) in space


@given(spaces, seeds)
def test_a_network_that_nothing_mutates_stays(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arch = space.sample(rng)
    assert space.mutate(arch, 0, rng) == arch


@given(spaces, seeds)
def test_a_crossed_network_has_every_gene_from_a_parent(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = space.sample(rng), space.sample(rng)
    child = space.cross(one, other, rng)
    assert child in space
    assert all(g in pair for g, *pair in zip(child.genotype, one.genotype, other.genotype, strict=True))


@given(spaces, seeds, st.booleans())
def test_growing_and_shrinking_move_one_gene_and_end_at_the_largest_and_the_smallest(
    space: SearchSpace, seed: int, grows: bool
) -> None:
    rng = np.random.default_rng(seed)
    arch, move = space.sample(rng), space.grow if grows else space.shrink
    end = space.largest if grows else space.smallest
    while arch != end:
        moved = move(arch, rng)
        assert moved in space
        ((old, new, options),) = (
            (a, b, o) for a, b, o in zip(arch.genotype, moved.genotype, space.options, strict=True) if a != b
        )
        assert options.index(new) - options.index(old) == (1 if grows else -1)
        arch = moved
    assert move(arch, rng) == arch


@given(spaces, seeds)
def test_a_choice_is_told_by_its_genes(space: SearchSpace, seed: int) -> None:
    arch = space.sample(np.random.default_rng(seed))
    assert ArchConfig.from_genotype(arch.genotype) == arch


@given(spaces, seeds)
def test_every_choice_is_an_ordinary_table_between_the_smallest_and_the_largest(space: SearchSpace, seed: int) -> None:
    arch = space.sample(np.random.default_rng(seed))
    net = space.net(arch)
    assert Net.from_dict(net.to_dict()) == net
    macs = total(net, arch.size)[1]
    low, high = (total(space.net(c), c.size)[1] for c in (space.smallest, space.largest))
    assert low <= macs <= high


@given(spaces, seeds)
def test_every_block_stands_for_one_of_the_bases_that_is_at_least_as_wide(space: SearchSpace, seed: int) -> None:
    arch = space.sample(np.random.default_rng(seed))
    net = space.net(arch)
    sources = space.sources(arch)
    assert sources == sorted(set(sources))
    for row, source in zip(net.blocks, sources, strict=True):
        assert row.stride == space.base.blocks[source].stride
        assert row.out <= space.base.blocks[source].out


@given(spaces, seeds)
def test_no_shortcut_appears_that_the_base_network_does_not_have(space: SearchSpace, seed: int) -> None:
    def shortcuts(net: Net) -> list[bool]:
        channels = [net.stem.out, *(row.out for row in net.blocks)]
        return [
            isinstance(row, Inverted) and row.shortcut and row.stride == 1 and before == row.out
            for row, before in zip(net.blocks, channels, strict=False)
        ]

    arch = space.sample(np.random.default_rng(seed))
    theirs = shortcuts(space.base)
    for source, has in zip(space.sources(arch), shortcuts(space.net(arch)), strict=True):
        assert has <= theirs[source]


def test_the_base_network_itself_is_a_choice_of_v2() -> None:
    base = build("mobilenet_v2")
    space = SearchSpace(base, 192)
    same = ArchConfig(192, tuple(Stage(len(stage), 1.0, 3, 6, False) for stage in space.stages))
    assert same in space
    assert space.net(same) == base


def test_the_stages_are_those_of_the_paper() -> None:
    assert [len(stage) for stage in SearchSpace(build("mobilenet_v2"), 224).stages] == [2, 3, 4, 3, 3, 1]
    assert [len(stage) for stage in SearchSpace(build("mobilenet_v3_large"), 224).stages] == [2, 3, 4, 2, 3]


def test_sizes_are_shares_of_the_bases_and_never_below_32_pixels() -> None:
    assert SearchSpace(build("mobilenet_v2"), 192).options[0] == (96, 128, 160, 192)
    assert SearchSpace(build("mobilenet_v2"), 224).options[0] == (112, 144, 192, 224)
    assert SearchSpace(build("mobilenet_v2"), 40).options[0] == (32, 40)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v4_conv_small"])
def test_networks_of_other_blocks_are_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(UserError, match="--method netadapt"):
        SearchSpace(build(name), 224)
