"""Encoder Based Lifelong Learning (Rannen Triki, Aljundi, Blaschko, Tuytelaars, ICCV 2017), to read, run and explore.

A network learns tasks one after the other and should keep the old ones. In reading order:

- `ebll.losses`: the equations, one pure function each; `ebll.metrics`: what is measured.
- `ebll.networks`, `ebll.autoencoder`, `ebll.fisher`: the network F / T / T_t, and what is fitted beside it.
- `ebll.data`: tasks from images and typefaces inside packages, and your own.
- `ebll.methods`: joint training, fine-tuning, feature extraction, LwF, EWC, EBLL and its variants, one class a file.
- `ebll.training`: the one loop; `ebll.protocol`: tasks one after the other; `ebll.recording`: the tables they leave;
  `ebll.comparison`: several methods side by side.
- `ebll.experiments`: the main job with its claims; `ebll.plots`: table in, figure out.
- `ebll.sweeps`: many runs from a grid of settings, kept as they come, on this machine or a cluster.
- `ebll.widgets`: the forgetting lab and the submanifold explorer, for notebooks; `ebll.panels`: that of a sweep;
  `ebll.pages`: a sweep as a page that needs no kernel.
- `ebll.photos`, `ebll.backbones`, `ebll.checkpoints`, `ebll.paper`: the paper's own experiments, on photo sets and
  pretrained networks that are not part of this package.
- `ebll.lesson`, `ebll.checks`: what the notebooks need: set-up, and checks of the exercises.

    import ebll

    tasks = [ebll.load_task("letters"), ebll.load_task("textures")]
    run = ebll.run_sequence(tasks, ebll.EBLL(alpha=3.0), seed=0)
    run.accuracy_matrix()
    ebll.plots.feature_distance(run.curves)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Where each public name lives. They are imported on first use, so that `ebll --help` does not wait for torch.
_HOME = {
    "EbllError": "errors",
    "DataMissing": "errors",
    "InputError": "errors",
    "OutputError": "errors",
    "RunStopped": "errors",
    "TrainingDiverged": "errors",
    "Split": "data",
    "TASKS": "data",
    "Task": "data",
    "load_task": "data",
    "task_table": "data",
    "NETS": "networks",
    "Network": "networks",
    "build_network": "networks",
    "Autoencoder": "autoencoder",
    "AutoencoderSettings": "autoencoder",
    "fit_autoencoder": "autoencoder",
    "METHODS": "methods",
    "CodeOnly": "methods",
    "EBLL": "methods",
    "EBLLSeparate": "methods",
    "EWC": "methods",
    "FeatureExtraction": "methods",
    "Finetune": "methods",
    "Joint": "methods",
    "LwF": "methods",
    "LabConfig": "widgets",
    "RunConfig": "config",
    "Comparison": "comparison",
    "compare": "comparison",
    "Recorder": "recording",
    "Run": "runs",
    "Snapshot": "runs",
    "TrainSettings": "training",
    "learn_first": "protocol",
    "run_sequence": "protocol",
    "sweep": "sweeps",
}
_MODULES = (
    *("autoencoder", "backbones", "checkpoints", "checks", "comparison", "config", "data", "environment"),
    *("experiments", "figures", "fisher", "lesson", "methods", "metrics"),
    *("networks", "pages", "panels", "paper", "photos", "plots", "protocol", "recording"),
    *("sweeps", "losses", "training", "widgets"),
)

if TYPE_CHECKING:
    from ebll import (
        autoencoder,
        backbones,
        checkpoints,
        checks,
        comparison,
        config,
        data,
        environment,
        experiments,
        figures,
        fisher,
        lesson,
        losses,
        methods,
        metrics,
        networks,
        pages,
        panels,
        paper,
        photos,
        plots,
        protocol,
        recording,
        sweeps,
        training,
        widgets,
    )
    from ebll.autoencoder import Autoencoder, AutoencoderSettings, fit_autoencoder
    from ebll.comparison import Comparison, compare
    from ebll.config import RunConfig
    from ebll.data import TASKS, Split, Task, load_task, task_table
    from ebll.errors import DataMissing, EbllError, InputError, OutputError, RunStopped, TrainingDiverged
    from ebll.methods import (
        EBLL,
        EWC,
        METHODS,
        CodeOnly,
        EBLLSeparate,
        FeatureExtraction,
        Finetune,
        Joint,
        LwF,
    )
    from ebll.networks import NETS, Network, build_network
    from ebll.protocol import learn_first, run_sequence
    from ebll.recording import Recorder
    from ebll.runs import Run, Snapshot
    from ebll.sweeps import sweep
    from ebll.training import TrainSettings
    from ebll.widgets import LabConfig

__all__ = [
    "EBLL",
    "EWC",
    "METHODS",
    "NETS",
    "TASKS",
    "Autoencoder",
    "AutoencoderSettings",
    "CodeOnly",
    "Comparison",
    "DataMissing",
    "EBLLSeparate",
    "EbllError",
    "FeatureExtraction",
    "Finetune",
    "InputError",
    "Joint",
    "LabConfig",
    "LwF",
    "Network",
    "OutputError",
    "Recorder",
    "Run",
    "RunConfig",
    "RunStopped",
    "Snapshot",
    "Split",
    "Task",
    "TrainSettings",
    "TrainingDiverged",
    "autoencoder",
    "backbones",
    "build_network",
    "checkpoints",
    "checks",
    "compare",
    "comparison",
    "config",
    "data",
    "environment",
    "experiments",
    "figures",
    "fisher",
    "fit_autoencoder",
    "learn_first",
    "lesson",
    "load_task",
    "losses",
    "methods",
    "metrics",
    "networks",
    "pages",
    "panels",
    "paper",
    "photos",
    "plots",
    "protocol",
    "recording",
    "run_sequence",
    "sweep",
    "sweeps",
    "task_table",
    "training",
    "widgets",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(f"ebll.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"ebll.{name}")
    raise AttributeError(f"module 'ebll' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
