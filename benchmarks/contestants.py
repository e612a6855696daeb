"""Training loops side by side: the tutorial's, plain PyTorch, Keras, transformers' Trainer, and ours.

Each trains MobileNetV2 at 224 pixels on the same photographs, read from their files, and calls back after every
step. None of the others is tuned: each is what its own documentation begins with.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mobilenets.arch import build
from mobilenets.data.augment import Augment
from mobilenets.data.cache.images import PixelCache
from mobilenets.data.loader import Loader
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples, Splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess, decode
from mobilenets.system.malloc import keep_freed_memory
from mobilenets.training.context import ComputeContext
from mobilenets.training.loop import Trainer
from mobilenets.training.recipe import FINETUNE
from mobilenets.training.speed import measure_speed

MODEL, BATCH = "mobilenet_v2", 32
INCEPTION_CROP = Augment(crop_scale=(0.08, 1.0))  # torchvision's RandomResizedCrop and RandomHorizontalFlip
Enough = Callable[[int], bool]  # told a step's number of images; whether to stop after it


class Photos(Dataset[tuple[torch.Tensor, int]]):
    """Photographs as torchvision's transforms prepare them: float32 (3, 224, 224), normalised, and the label."""

    def __init__(self, samples: Sequence[Sample], training: bool) -> None:
        self.samples, self.training, self.preprocess = samples, training, Preprocess()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = decode.read(self.samples[index].open())
        if self.training:  # torch gives each loading process a seed of its own
            rng = np.random.default_rng(int(torch.randint(2**62, ())))
            pixels = INCEPTION_CROP(image, self.preprocess, rng)
        else:
            pixels = self.preprocess.pixels(image)
        return torch.from_numpy(self.preprocess.normalize(pixels[None])[0]), self.samples[index].label


def photo_loader(samples: Sequence[Sample], training: bool, batch: int) -> DataLoader[tuple[torch.Tensor, int]]:
    """torch's loader, with as many processes as the tutorial starts."""
    workers = min(os.cpu_count() or 1, batch, 8)
    return DataLoader(Photos(samples, training), batch, shuffle=training, num_workers=workers)


def plain_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, pixels: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """A step as everybody writes it; the loss."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(pixels), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss


@dataclass
class Loop:
    """A plain loop: float32, NCHW, torch's loader."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    splits: Splits
    batch: int

    def epoch(self) -> Iterator[int]:
        """Train once over the photographs; yields each step's number of images."""
        self.model.train()
        for pixels, labels in photo_loader(self.splits.train, True, self.batch):
            plain_step(self.model, self.optimizer, pixels, labels).item()
            yield len(labels)

    @torch.no_grad()
    def right(self) -> Iterator[tuple[int, int]]:
        """Validate; yields right answers and images of each batch."""
        self.model.eval()
        for pixels, labels in photo_loader(self.splits.val, False, self.batch):
            yield int((self.model(pixels).argmax(1) == labels).sum()), len(labels)

    def train(self, enough: Enough) -> None:
        """Epoch after epoch."""
        for _ in count():
            for seen in self.epoch():
                if enough(seen):
                    return


def tutorial(model: MobileNet, splits: Splits) -> Loop:
    """The recipe of the tutorial: batches of 16, the features' weights fixed, Adam at 1e-4 on the classifier.

    Its BatchNorm layers stay in training mode, their statistics move (github.com/WZMIAOMIAO/
    deep-learning-for-image-processing, pytorch_classification/Test6_mobilenet/train.py).
    """
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parameter in model.classifier.parameters():
        parameter.requires_grad = True
    trained = [p for p in model.parameters() if p.requires_grad]
    return Loop(model, torch.optim.Adam(trained, lr=1e-4), splits, 16)


def plain(model: MobileNet, splits: Splits) -> Loop:
    """All layers by SGD, as torchvision's reference script has it for MobileNetV2 (rate and decay)."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.045, momentum=0.9, weight_decay=4e-5)
    return Loop(model, optimizer, splits, BATCH)


def train_tutorial(splits: Splits, enough: Enough) -> None:
    tutorial(MobileNet(build(MODEL, num_classes=2)), splits).train(enough)


def train_plain(splits: Splits, enough: Enough) -> None:
    plain(MobileNet(build(MODEL, num_classes=2)), splits).train(enough)


def train_keras(splits: Splits, enough: Enough) -> None:
    """Keras on torch: `fit` with Adam."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            self.model.stop_training = enough(BATCH)

    class ChannelsLast(Photos):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            pixels, label = super().__getitem__(index)
            return pixels.permute(1, 2, 0).contiguous(), label

    model = keras.applications.MobileNetV2(weights=None, classes=2, input_shape=(224, 224, 3))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = ChannelsLast(splits.train, True)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=os.cpu_count() or 1, drop_last=True)
    model.fit(loader, epochs=1000, verbose=0, callbacks=[Stop()])


def train_transformers(splits: Splits, enough: Enough) -> None:
    """transformers' Trainer with its MobileNetV2, on its defaults but for the batch and two loading processes."""
    import transformers

    class Stop(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(
            self,
            args: transformers.TrainingArguments,
            state: transformers.TrainerState,
            control: transformers.TrainerControl,
            **rest: object,
        ) -> None:
            control.should_training_stop = enough(BATCH)

    def collate(rows: list[tuple[torch.Tensor, int]]) -> dict[str, torch.Tensor]:
        pixels, labels = zip(*rows, strict=True)
        return {"pixel_values": torch.stack(pixels), "labels": torch.tensor(labels)}

    model = transformers.MobileNetV2ForImageClassification(transformers.MobileNetV2Config(num_labels=2))
    arguments = transformers.TrainingArguments(
        output_dir=tempfile.gettempdir(),  # nothing is saved
        use_cpu=True,
        per_device_train_batch_size=BATCH,
        num_train_epochs=1000,
        dataloader_num_workers=os.cpu_count() or 1,
        dataloader_drop_last=True,
        remove_unused_columns=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    data = Photos(splits.train, True)
    transformers.Trainer(model, arguments, collate, data, callbacks=[Stop()]).train()


def our_trainer(name: str, samples: Samples) -> Trainer:
    """The trainer of `mobilenets train`, all layers learning, in the precision that a measurement picks."""
    keep_freed_memory()
    preprocess = Preprocess()
    train = Loader(
        samples,
        preprocess,
        BATCH,
        augment=FINETUNE.augment,
        shuffle=True,
        drop_last=True,
        cache=PixelCache(),
        prefetch=0,
    )
    ctx = ComputeContext(torch.device("cpu"), "fp32", 0)
    trainer = Trainer(MobileNet(build(name, num_classes=2)), FINETUNE, ctx, preprocess, train, train)
    trainer.ctx = ComputeContext(ctx.device, measure_speed(trainer, "auto", None).precision, 0)
    return trainer


def train_ours(splits: Splits, enough: Enough) -> None:
    """The loop of `mobilenets train`; decoding included, as the first epoch has it."""
    trainer = our_trainer(MODEL, splits.train)
    for _ in count():
        trainer.state.batch = 0
        for _ in trainer.finished_steps():
            if enough(BATCH):
                return
        trainer.state.epoch += 1


CONTESTANTS: dict[str, Callable[[Splits, Enough], None]] = {
    "tutorial": train_tutorial,
    "plain": train_plain,
    "keras": train_keras,
    "transformers": train_transformers,
    "ours": train_ours,
}
