"""The configuration of a node: environment variables, or flags of `peatnode run` with the same names.

A new setting enters as a row of `variables.py`; other packages import Config and the loaders from here.
"""

from peatnode.config.loading import (
    Setting,
    default_run_dir,
    load_config,
    read_settings,
    reread_expected_peers,
    run_dir_choices,
)
from peatnode.config.reading import MIN_SECRET_BYTES
from peatnode.config.sources import SOURCE_NAMES, SOURCES, SourceSpec
from peatnode.config.values import Config, ExpectedPeers, Secret, StaticPeer
from peatnode.config.variables import LARGEST_BODY_BYTES, VARIABLES, Variable, flag_names, flag_of

__all__ = [
    "LARGEST_BODY_BYTES",
    "MIN_SECRET_BYTES",
    "SOURCES",
    "SOURCE_NAMES",
    "VARIABLES",
    "Config",
    "ExpectedPeers",
    "Secret",
    "Setting",
    "SourceSpec",
    "StaticPeer",
    "Variable",
    "default_run_dir",
    "flag_names",
    "flag_of",
    "load_config",
    "read_settings",
    "reread_expected_peers",
    "run_dir_choices",
]
