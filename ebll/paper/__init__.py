"""The paper's own experiments: AlexNet on ImageNet, Flowers, Birds and Scenes, ready to run where the data is.

    ebll.paper.paper("data/", experiments=["flowers-birds"])   # ebll paper --root data/ --experiment flowers-birds
    ebll.paper.load_photos("flowers", "data/")                 # a photo set, or a folder of your own, as a task
    ebll.paper.load_backbone("resnet18@layer3").network()      # a pretrained network, cut into F, T and a head

The losses, the loop, the record and the tables are those of the small experiments. The photo sets are not part of ebll;
`docs/paper-scale.md` says where each comes from.
"""

from __future__ import annotations

from ebll.paper.backbones import BACKBONES, Backbone, load_backbone
from ebll.paper.checkpoint import load_checkpoint, save_checkpoint
from ebll.paper.datasets import CUB200, PHOTO_SETS, Indoor67, find_photos
from ebll.paper.photos import Crops, PhotoSettings, PhotoSplit, load_photos
from ebll.paper.plan import SEQUENCES, PaperSettings, Unit, dry_run, units_of
from ebll.paper.protocol import Workspace, paper
from ebll.paper.report import layouts

__all__ = [
    "BACKBONES",
    "CUB200",
    "PHOTO_SETS",
    "SEQUENCES",
    "Backbone",
    "Crops",
    "Indoor67",
    "PaperSettings",
    "PhotoSettings",
    "PhotoSplit",
    "Unit",
    "Workspace",
    "dry_run",
    "find_photos",
    "layouts",
    "load_backbone",
    "load_checkpoint",
    "load_photos",
    "paper",
    "save_checkpoint",
    "units_of",
]
