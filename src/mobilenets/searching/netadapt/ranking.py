"""What NetAdapt's proposals cost untrained."""

from __future__ import annotations

from operator import itemgetter

import torch
import torch.nn.functional as F

from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import Workbench
from mobilenets.searching.distill import at_size
from mobilenets.searching.netadapt.proposals import INPUT, Proposal
from mobilenets.searching.pruning.groups import fewer, layout
from mobilenets.searching.pruning.reconstruct import Weighed, cut
from mobilenets.training.context import autocast

RANKED = 128  # held-out pictures


class Ranking:
    """Gives each proposal what it costs untrained: how far its answers are from `model`'s, per millisecond saved.

    That is the Kullback-Leibler divergence (nats, mean over some held-out pictures of side `size`), which tells small
    cuts apart where the rise of the log loss is lost in noise. `now_ms`: what `model` takes.
    """

    def __init__(self, bench: Workbench, model: MobileNet, size: int, weighed: Weighed, now_ms: float) -> None:
        self._model, self._weighed, self._now_ms = model.eval(), weighed, now_ms
        self._place = bench.place
        pictures = bench.parts.holdout.spread(RANKED)
        self._batches = [bench.images(b.pixels, size) for b in bench.loader(pictures, size).epoch(0)]
        self._said = self._answers(model, self._batches)

    @torch.no_grad()
    def __call__(self, proposals: list[Proposal]) -> list[tuple[Proposal, float]]:
        """The maps before a cut are the parent's, so that each network only runs from its cut on."""
        plan = layout(self._model.net)

        def sizes(proposal: Proposal) -> dict[str, int]:
            return fewer(self._model.net, proposal.candidate.net)

        def first(proposal: Proposal) -> int:
            return min((plan.spaces[name].first for name in sizes(proposal)), default=-1)

        maps, depth = self._batches, -1  # the parent's, before its stem (-1) or behind `depth` blocks
        result = []
        for begin, proposal in sorted(((first(p), p) for p in proposals), key=itemgetter(0)):
            network = cut(self._model, sizes(proposal), self._weighed).eval()
            if proposal.space == INPUT:
                answers = self._answers(network, [at_size(x, proposal.after) for x in self._batches])
            else:
                with autocast(self._place.device, self._place.precision):
                    while depth < begin:
                        part = self._model.stem if depth < 0 else self._model.blocks[depth]
                        maps, depth = [part(x) for x in maps], depth + 1
                answers = self._answers(network, maps, None if depth < 0 else depth)
            apart = float(F.kl_div(answers, self._said, reduction="batchmean", log_target=True))
            result.append((proposal, apart / (self._now_ms - proposal.predicted_ms)))
        return result

    @torch.no_grad()
    def _answers(self, network: MobileNet, inputs: list[torch.Tensor], after: int | None = None) -> torch.Tensor:
        """Log probabilities (N, classes); `inputs`: pictures, or the maps `after` so many blocks."""
        with autocast(self._place.device, self._place.precision):
            logits = [network(x, after) for x in inputs]
        return torch.cat(logits).float().log_softmax(1)
