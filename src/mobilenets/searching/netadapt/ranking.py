"""What NetAdapt's proposals cost untrained: it decides which few of a hundred are worth a short training."""

from __future__ import annotations

from operator import itemgetter

import torch
import torch.nn.functional as F

from mobilenets.nn.model import MobileNet
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import resize_images
from mobilenets.searching.netadapt.proposals import INPUT, Proposal
from mobilenets.searching.pruning.groups import channel_cuts, channel_groups
from mobilenets.searching.pruning.reconstruct import PruningStats, prune
from mobilenets.training.context import autocast

NUM_RANKING_IMAGES = 128  # held out


class Ranking:
    """Gives each proposal what it costs untrained: how far its answers are from `model`'s, per millisecond saved.

    That is the Kullback-Leibler divergence (nats, mean over some held-out images of side `size`), which tells small
    cuts apart where the rise of the log loss is lost in noise. `now_ms`: what `model` takes.
    """

    def __init__(self, ctx: SearchContext, model: MobileNet, size: int, stats: PruningStats, now_ms: float) -> None:
        self._model, self._stats, self._now_ms = model.eval(), stats, now_ms
        self._compute = ctx.compute
        samples = ctx.splits.holdout.spread(NUM_RANKING_IMAGES)
        self._batches = [ctx.images(b.pixels, size) for b in ctx.loader(samples, size).epoch(0)]
        self._parent_log_probs = self._answers(model, self._batches)

    @torch.no_grad()
    def __call__(self, proposals: list[Proposal]) -> list[tuple[Proposal, float]]:
        """The maps before a cut are the parent's, so that each network only runs from its cut on."""
        groups = channel_groups(self._model.net)

        def sizes(proposal: Proposal) -> dict[str, int]:
            return channel_cuts(self._model.net, proposal.candidate.net)

        def first(proposal: Proposal) -> int:
            return min((groups.by_name[name].first for name in sizes(proposal)), default=-1)

        maps, depth = self._batches, -1  # the parent's, before its stem (-1) or behind `depth` blocks
        result = []
        for begin, proposal in sorted(((first(p), p) for p in proposals), key=itemgetter(0)):
            network = prune(self._model, sizes(proposal), self._stats).eval()
            if proposal.group == INPUT:
                answers = self._answers(network, [resize_images(x, proposal.after) for x in self._batches])
            else:
                with autocast(self._compute.device, self._compute.precision):
                    while depth < begin:
                        part = self._model.stem if depth < 0 else self._model.blocks[depth]
                        maps, depth = [part(x) for x in maps], depth + 1
                answers = self._answers(network, maps, None if depth < 0 else depth)
            apart = float(F.kl_div(answers, self._parent_log_probs, reduction="batchmean", log_target=True))
            result.append((proposal, apart / (self._now_ms - proposal.predicted_ms)))
        return result

    @torch.no_grad()
    def _answers(self, network: MobileNet, inputs: list[torch.Tensor], after: int | None = None) -> torch.Tensor:
        """Log probabilities (N, classes); `inputs`: images, or the maps `after` so many blocks."""
        with autocast(self._compute.device, self._compute.precision):
            logits = [network(x, after) for x in inputs]
        return torch.cat(logits).float().log_softmax(1)
