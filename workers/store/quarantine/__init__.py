"""What the store has set aside until an operator decides: changes that leap, and what broke the engine.

Only the service and the batch builder enter. The entries are kept in the batches of the changes that they come from.
"""
