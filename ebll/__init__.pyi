"""The public names of ebll, read by editors, and by `__init__.py` when one of them is first used."""

__version__: str

from . import (
    autoencoder,
    comparison,
    config,
    course,
    data,
    environment,
    errors,
    executors,
    fisher,
    losses,
    methods,
    metrics,
    networks,
    paper,
    plots,
    protocol,
    recording,
    reproduce,
    sweeps,
    training,
    widgets,
)
from .autoencoder import Autoencoder, AutoencoderSettings, fit_autoencoder
from .comparison import Comparison, compare
from .config import RunConfig
from .data import TASKS, Split, Task, load_task, task_table
from .errors import DataMissing, EbllError, InputError, OutputError, RunStopped, TrainingDiverged
from .methods import EBLL, EWC, METHODS, CodeOnly, EBLLSeparate, FeatureExtraction, Finetune, Joint, LwF
from .networks import NETS, Network, build_network
from .protocol import learn_first, run_sequence
from .recording import Recorder
from .runs import Run, Snapshot
from .sweeps import sweep
from .training import TrainSettings
from .widgets import LabConfig
