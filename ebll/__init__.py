"""Encoder Based Lifelong Learning (Rannen Triki, Aljundi, Blaschko, Tuytelaars, ICCV 2017), to read, run and explore.

A network learns tasks one after the other and should keep the old ones. In reading order:

- `ebll.losses`: the equations, one pure function each; `ebll.metrics`: what is measured.
- `ebll.networks`, `ebll.autoencoder`, `ebll.fisher`: the network F / T / T_t, and what is fitted beside it.
- `ebll.data`: tasks from images and typefaces inside packages, and your own.
- `ebll.methods`: joint training, fine-tuning, feature extraction, LwF, EWC, EBLL and its variants.
- `ebll.training`: the one loop; `ebll.protocol`: tasks one after the other; `ebll.recording`: the tables they leave;
  `ebll.comparison`: several methods side by side.
- `ebll.reproduce`: the main job with its claims; `ebll.plots`: table in, figure out.
- `ebll.sweeps`: many runs from a grid of settings, kept as they come, on this machine or a cluster (`ebll.executors`);
  as maps, and as a page that needs no kernel.
- `ebll.widgets`: the forgetting lab, the submanifold explorer and the sweep explorer, for notebooks.
- `ebll.web`: a lab that trains in a web page, and the same in the kit.
- `ebll.paper`: the paper's own experiments, on photo sets and pretrained networks that are not part of this package.
- `ebll.course`: what the notebooks need: set-up, and checks of the exercises.

    import ebll

    tasks = [ebll.load_task("letters"), ebll.load_task("textures")]
    run = ebll.run_sequence(tasks, ebll.EBLL(alpha=3.0), seed=0)
    run.accuracy_matrix()
    ebll.plots.feature_distance(run.curves)
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.1.0"

# The public names stand in __init__.pyi, each once. They are imported on first use, so that `ebll --help` does not wait
# for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
