"""The log of a process. `output` writes its lines; `quota` bounds those that peers and clients cause."""

from peatnode.logs.output import LEVELS, configure, get_logger, level_of, parse_filter
from peatnode.logs.quota import LogQuota

__all__ = ["LEVELS", "LogQuota", "configure", "get_logger", "level_of", "parse_filter"]
