"""A classifier to judge samples by: a ResNet trained on the labelled images of a store.

    python benchmarks/classifier.py digits.h5 digits.safetensors [--epochs 4] [--network resnet20] [--device cpu]
    inrkit evaluate runs/digits --features resnet20 --weights digits.safetensors

It is trained on the training split and says how many of the held-out images it gets right. Images are resized to
32 x 32, shifted by up to two pixels, and mirrored only with `--mirror`. Small differences between models are not to be
read from a classifier that is itself often wrong.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from inrkit import resolve
from inrkit_features.resnet import ResNet, ResNet20, ResNet56

BATCH = 128


def images_of(store: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images (N, C, 32, 32) on [-1, 1], and their labels."""
    source = resolve("image", flags={"data": str(store)}).source(split)
    signals = source.read(range(len(source)))
    if "label" not in signals:
        raise SystemExit(f"{store}: expected labels, found none; import a set that has them, or with '--labels folder'")
    values = signals["values"]
    values = values.float() / 127.5 - 1 if values.dtype == torch.uint8 else values.float()
    small = [F.interpolate(part, (32, 32), mode="bilinear", antialias=True) for part in values.split(1000)]
    return torch.cat(small), signals["label"]


def changed(images: Tensor, mirror: bool) -> Tensor:
    """Each shifted by up to two pixels, and half of them mirrored."""
    down, right = torch.randint(0, 5, (2,)).tolist()
    images = F.pad(images, (2, 2, 2, 2), mode="replicate")[:, :, down : down + 32, right : right + 32]
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images) if mirror else images


@torch.no_grad()
def accuracy(network: ResNet, images: Tensor, labels: Tensor, device: str) -> float:
    """The share that is classified rightly."""
    network.eval()
    found = [network.logits(network(part.to(device))).argmax(1).cpu() for part in images.split(500)]
    return float((torch.cat(found) == labels).double().mean())


def train(network: ResNet, images: Tensor, labels: Tensor, args: argparse.Namespace) -> None:
    """Stochastic gradient descent with momentum, on one cycle of learning rates."""
    steps = args.epochs * (len(images) // BATCH)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    for epoch in range(args.epochs):
        network.train()
        for rows in torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH):
            shown = changed(images[rows], args.mirror).to(args.device)
            loss = F.cross_entropy(network.logits(network(shown)), labels[rows].to(args.device), label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {args.epochs}: loss {loss.item():.3f}", flush=True)


def main() -> None:
    """Train, say how good it is, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", choices=("resnet20", "resnet56"), default="resnet20")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.manual_seed(0)
    images, labels = images_of(args.store, "train")
    kind = ResNet20 if args.network == "resnet20" else ResNet56
    network = kind(channels=images.shape[1], classes=int(labels.max()) + 1).to(args.device)
    train(network, images, labels, args)
    right = accuracy(network, *images_of(args.store, "test"), args.device)
    save_file({key: value.contiguous() for key, value in network.cpu().state_dict().items()}, args.out)
    print(f"{args.out}: {right:.2%} of the held-out images are classified rightly")


if __name__ == "__main__":
    main()
