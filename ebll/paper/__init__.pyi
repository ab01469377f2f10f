"""The names of ebll.paper; `name as name` says to type checkers that it is for users."""

from .backbones import Backbone as Backbone, load_backbone as load_backbone
from .checkpoint import load_checkpoint as load_checkpoint, save_checkpoint as save_checkpoint
from .datasets import PHOTO_SETS as PHOTO_SETS, find_photos as find_photos
from .photos import Crops as Crops, PhotoSplit as PhotoSplit, load_photos as load_photos
from .plan import (
    BACKBONES as BACKBONES,
    SEQUENCES as SEQUENCES,
    PaperSettings as PaperSettings,
    PhotoSettings as PhotoSettings,
    Unit as Unit,
    units_of as units_of,
)
from .protocol import Workspace as Workspace, dry_run as dry_run, paper as paper
from .report import layouts as layouts
