"""The public names of ebll, read by editors, and by `__init__.py` when one of them is first used.

The form `name as name` says to type checkers that a name is for users.
"""

__version__: str

from . import (
    autoencoder as autoencoder,
)
from . import (
    comparison as comparison,
)
from . import (
    config as config,
)
from . import (
    course as course,
)
from . import (
    data as data,
)
from . import (
    environment as environment,
)
from . import (
    errors as errors,
)
from . import (
    executors as executors,
)
from . import (
    fisher as fisher,
)
from . import (
    losses as losses,
)
from . import (
    methods as methods,
)
from . import (
    metrics as metrics,
)
from . import (
    networks as networks,
)
from . import (
    paper as paper,
)
from . import (
    plots as plots,
)
from . import (
    protocol as protocol,
)
from . import (
    recording as recording,
)
from . import (
    reproduce as reproduce,
)
from . import (
    sweeps as sweeps,
)
from . import (
    training as training,
)
from . import (
    widgets as widgets,
)
from .autoencoder import (
    Autoencoder as Autoencoder,
)
from .autoencoder import (
    AutoencoderSettings as AutoencoderSettings,
)
from .autoencoder import (
    fit_autoencoder as fit_autoencoder,
)
from .comparison import (
    Comparison as Comparison,
)
from .comparison import (
    compare as compare,
)
from .config import RunConfig as RunConfig
from .data import (
    TASKS as TASKS,
)
from .data import (
    Split as Split,
)
from .data import (
    Task as Task,
)
from .data import (
    load_task as load_task,
)
from .data import (
    task_table as task_table,
)
from .errors import (
    DataMissing as DataMissing,
)
from .errors import (
    EbllError as EbllError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    OutputError as OutputError,
)
from .errors import (
    RunStopped as RunStopped,
)
from .errors import (
    TrainingDiverged as TrainingDiverged,
)
from .methods import (
    EBLL as EBLL,
)
from .methods import (
    EWC as EWC,
)
from .methods import (
    METHODS as METHODS,
)
from .methods import (
    CodeOnly as CodeOnly,
)
from .methods import (
    EBLLSeparate as EBLLSeparate,
)
from .methods import (
    FeatureExtraction as FeatureExtraction,
)
from .methods import (
    Finetune as Finetune,
)
from .methods import (
    Joint as Joint,
)
from .methods import (
    LwF as LwF,
)
from .networks import (
    NETS as NETS,
)
from .networks import (
    Network as Network,
)
from .networks import (
    build_network as build_network,
)
from .protocol import (
    learn_first as learn_first,
)
from .protocol import (
    run_sequence as run_sequence,
)
from .recording import Recorder as Recorder
from .runs import (
    Run as Run,
)
from .runs import (
    Snapshot as Snapshot,
)
from .sweeps import sweep as sweep
from .training import TrainSettings as TrainSettings
from .widgets import LabConfig as LabConfig
