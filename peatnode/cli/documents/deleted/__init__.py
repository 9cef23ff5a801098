"""The commands for deleted documents: they list what a node keeps of them, and bring it back.

`peatnode doc` adds them. They know documents through `source.py` alone.
"""
