"""The paper's own experiments: AlexNet on ImageNet, Flowers, Birds and Scenes, ready to run where the data is.

    ebll.paper.paper("data/", experiments=["flowers-birds"])   # ebll paper --root data/ --experiment flowers-birds

The terms, the loop, the record and the tables are those of the small experiments. The photo sets are not part of ebll;
`ebll.photos` says where each comes from.
"""

from __future__ import annotations

from ebll.paper.main import paper
from ebll.paper.plan import SEQUENCES, PaperSettings, Unit
from ebll.paper.runs import Brake
from ebll.paper.start import Place

__all__ = ["SEQUENCES", "Brake", "PaperSettings", "Place", "Unit", "paper"]
