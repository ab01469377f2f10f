"""The public names of ebll, read by editors, and by `__init__.py` when one of them is first used.

The form `name as name` says to type checkers that a name is for users.
"""

__version__: str

from . import (
    autoencoder as autoencoder,
    comparison as comparison,
    config as config,
    course as course,
    data as data,
    errors as errors,
    executors as executors,
    fisher as fisher,
    losses as losses,
    methods as methods,
    metrics as metrics,
    networks as networks,
    paper as paper,
    plots as plots,
    protocol as protocol,
    recording as recording,
    reproduce as reproduce,
    sweeps as sweeps,
    training as training,
    web as web,
    widgets as widgets,
)
from .autoencoder import (
    Autoencoder as Autoencoder,
    fit_autoencoder as fit_autoencoder,
)
from .comparison import (
    Comparison as Comparison,
    compare as compare,
)
from .config import RunConfig as RunConfig
from .data import (
    TASKS as TASKS,
    Split as Split,
    Task as Task,
    load_task as load_task,
    plane_tasks as plane_tasks,
    task_table as task_table,
)
from .errors import (
    DataMissing as DataMissing,
    EbllError as EbllError,
    InputError as InputError,
    OutputError as OutputError,
    RunStopped as RunStopped,
    TrainingDiverged as TrainingDiverged,
)
from .methods import (
    EBLL as EBLL,
    EWC as EWC,
    METHODS as METHODS,
    CodeOnly as CodeOnly,
    EBLLSeparate as EBLLSeparate,
    FeatureExtraction as FeatureExtraction,
    Finetune as Finetune,
    Joint as Joint,
    LwF as LwF,
    Replay as Replay,
)
from .networks import (
    NETS as NETS,
    Network as Network,
    build_network as build_network,
)
from .protocol import (
    learn_first as learn_first,
    run_sequence as run_sequence,
)
from .recording import (
    Recorder as Recorder,
    Run as Run,
    Snapshot as Snapshot,
)
from .settings import (
    USUAL as USUAL,
    AutoencoderSettings as AutoencoderSettings,
    TrainSettings as TrainSettings,
)
from .sweeps import sweep as sweep
from .widgets import LabConfig as LabConfig
