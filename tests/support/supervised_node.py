"""A node with the real supervisor and `supervised_worker` for each worker: `python supervised_node.py LIMITS`."""

import json
import os
import sys
from dataclasses import replace

if os.environ.get("COVERAGE_PROCESS_START"):
    import coverage

    coverage.process_startup()


from peatnode.config import load_config
from peatnode.supervision.policy import RestartLimits
from peatnode.supervision.supervisor import run_node
from peatnode.supervision.workers import WORKERS

if __name__ == "__main__":
    workers = [replace(spec, module="tests.support.supervised_worker") for spec in WORKERS]
    sys.exit(run_node(load_config(os.environ), workers, RestartLimits(**json.loads(sys.argv[1]))))
