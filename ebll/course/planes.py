"""Features and their reconstructions in a plane, with what the frozen head says there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebll.errors import InputError
from ebll.metrics import accuracy, unexplained_variance

CELLS = 80
"""Of a side of the grid on which the head is asked."""


def in_plane(
    reconstructions: Mapping[str, Tensor], features: Tensor, labels: Tensor, classify: Callable[[Tensor], Tensor],
    classes: Mapping[int, str], *, each: int = 20,
) -> dict[str, Any]:  # fmt: skip
    """Put features and reconstructions into a plane, as `ebll.plots.submanifold` takes them.

    Two features are a plane. Of more, the plane through the means of three classes is taken: no other plane shows
    these as far apart. Points are projected onto it; the head is asked on the plane itself.

    reconstructions  name of a panel -> (n, features)
    features, labels (n, features), (n,)   of held-out inputs
    classify         features (batch, features) -> logits, frozen
    classes          label -> name of those shown; just three of them where there are more than two features
    each             inputs of a class that are drawn; the facts of a panel are of all n
    returns          points, regions and axes
    raises           `InputError` for another number of classes
    """
    with torch.no_grad():
        origin, axes, names = _plane(features, labels, classes)
        rows = torch.cat([(labels == label).nonzero()[:each, 0] for label in classes])
        parts = []
        for panel, back in reconstructions.items():
            places = torch.cat([(v[rows] - origin) @ axes.T for v in (features, back)], dim=1)
            facts = {"share": unexplained_variance(back, features), "accuracy": accuracy(classify(back), labels)}
            part = pd.DataFrame(places.cpu().numpy(), columns=["x", "y", "x_back", "y_back"])
            parts.append(part.assign(panel=panel, label=[classes[int(label)] for label in labels[rows]], **facts))
        points = pd.concat(parts, ignore_index=True)
        spans = [points[[name, f"{name}_back"]].to_numpy() for name in "xy"]
        edges = [(span.min() - 0.05 * np.ptp(span), span.max() + 0.05 * np.ptp(span)) for span in spans]
        grid = torch.cartesian_prod(*(torch.linspace(*map(float, edge), CELLS) for edge in edges))
        said = classify(origin + grid.to(features) @ axes).argmax(dim=1).tolist()
    regions = pd.DataFrame(grid.numpy(), columns=["x", "y"]).assign(label=[classes.get(label, "") for label in said])
    return {"points": points, "regions": regions, "axes": names}


def _plane(features: Tensor, labels: Tensor, classes: Mapping[int, str]) -> tuple[Tensor, Tensor, tuple[str, str]]:
    """A point of the plane, its two orthonormal directions (2, features), and their names."""
    if features.shape[1] == 2:
        return features.new_zeros(2), torch.eye(2).to(features), ("first feature", "second feature")
    if len(classes) != 3:
        raise InputError(f"A plane goes through the means of three classes; got {len(classes)}: {list(classes)}.")
    first, second, third = (features[labels == label].mean(dim=0) for label in classes)
    across = torch.nn.functional.normalize(second - first, dim=0)
    up = third - first
    up = torch.nn.functional.normalize(up - (up @ across) * across, dim=0)
    one, two, three = classes.values()
    return (
        first,
        torch.stack([across, up]),
        (f"from the mean of {one} to that of {two}", f"towards the mean of {three}"),
    )
