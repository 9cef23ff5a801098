"""Starting, watching and stopping the processes of a node."""

from peatnode.supervision.supervisor import run_node

__all__ = ["run_node"]
