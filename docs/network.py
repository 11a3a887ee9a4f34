"""A network of which docs/sweeps.md asks what it costs."""

from torch import nn


class Net(nn.Module):
    """A stem, some blocks at one width, and a classifier."""

    def __init__(self, width=32, depth=3):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(16, width), nn.ReLU()
                )
                for _ in range(depth)
            )
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        if x.shape[2] > 256:  # large images are made smaller first
            x = nn.functional.avg_pool2d(x, 2)
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))
