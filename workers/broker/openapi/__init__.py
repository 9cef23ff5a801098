"""The description of the HTTP interface, built from the messages that the broker answers with."""
