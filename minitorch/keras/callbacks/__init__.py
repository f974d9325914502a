"""Callbacks by Keras' names: what is done on the way of a fit()."""
from .base import Callback, CallbackList, History, LambdaCallback
from .files import CSVLogger, ModelCheckpoint
from .watching import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
