"""Who is connected to whom: what each peer has told of its neighbours, and what it is told of those of this node.

The lists and their differences enter; what follows from them for changes and awareness belongs to the machine.
"""
