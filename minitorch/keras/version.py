"""Which Keras this follows, and the format of the files it writes."""
__version__ = "3.0.0"                      # of the Keras whose names and meanings these are
FORMAT = {"format": "minitorch.keras", "version": 1}
