"""What a node is told: variables of the environment, or flags of `peatnode run` of the same names.

`variables.py` has the one table, `reading.py` says what each text means, `loading.py` puts them together.
"""

from peatnode.config.loading import Setting, default_run_dir, load_config, read_settings
from peatnode.config.reading import MIN_SECRET_BYTES, SOURCES
from peatnode.config.values import Config, Secret, StaticPeer
from peatnode.config.variables import VARIABLES, Variable, flag_of

__all__ = [
    "MIN_SECRET_BYTES",
    "SOURCES",
    "VARIABLES",
    "Config",
    "Secret",
    "Setting",
    "StaticPeer",
    "Variable",
    "default_run_dir",
    "flag_of",
    "load_config",
    "read_settings",
]
