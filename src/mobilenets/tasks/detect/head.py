"""What an exported detector adds behind the network: the boxes and scores of all anchors, of which NMS then chooses."""

from __future__ import annotations

import torch
from torch import Tensor

from mobilenets.tasks.detect.boxes import MAX_GROWTH, WEIGHTS


def decoded(*outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, codes and anchors as corner boxes (N, A, 4) and scores (N, A, K).

    `outputs`: these three, float (N, A, K + 1), (N, A, 4) and (1, A, 4), or all in one, (N, A, K + 1 + 4 + 4).

    Examples
    --------
    >>> boxes, scores = decoded(torch.tensor([[[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 1.0]]]))
    >>> boxes.tolist(), scores.tolist()
    ([[[0.25, 0.0, 0.75, 1.0]]], [[[0.5]]])
    """
    if len(outputs) == 1:
        outputs = (outputs[0][..., :-8], outputs[0][..., -8:-4], outputs[0][..., -4:])
    logits, codes, anchors = outputs
    codes = codes / torch.from_numpy(WEIGHTS).to(codes)
    centres = codes[..., :2] * anchors[..., 2:] + anchors[..., :2]
    # Not `clamp`, which would be rounded in 8 bits as a ReLU6 is.
    sides = torch.minimum(codes[..., 2:], torch.tensor(MAX_GROWTH).to(codes)).exp() * anchors[..., 2:]
    return torch.cat([centres - sides / 2, centres + sides / 2], -1), logits.softmax(-1)[..., 1:]


def framed(targets: Tensor, frames: Tensor) -> Tensor:
    """Boxes `targets` (N, M * 6) where inputs show them, by `frames` (N, 6), each a `crops.Frame`.

    Cut at the input's edges; one whose centre is not shown is none (class -1).

    Examples
    --------
    >>> row = torch.tensor([[0.5, 0.0, 1.0, 0.5, 0.0, 0.0]])
    >>> framed(row, torch.tensor([[-1.0, 0.0, 1.0, 0.0, 1.0, 0.0]])).tolist()
    [[0.0, 0.0, 0.5, 0.5, 0.0, 0.0]]
    """
    rows = targets.view(len(targets), -1, 6).clone()
    corners = rows[..., :4].reshape(*rows.shape[:2], 2, 2)  # (N, M, corner, x and y)
    frames = frames.view(-1, 1, 2, 3)
    moved = corners @ frames[..., :2].transpose(2, 3) + frames[..., 2].unsqueeze(2)
    low, high = moved.amin(2), moved.amax(2)
    centre = (low + high) / 2
    low, high = low.clamp(0, 1), high.clamp(0, 1)
    shown = ((centre >= 0) & (centre <= 1) & (high > low)).all(2)
    rows[..., :2], rows[..., 2:4] = low, high
    rows[..., 4] = torch.where(shown, rows[..., 4], -1.0)
    return rows.view_as(targets)
