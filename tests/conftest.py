"""Settings that must stand before TensorFlow is imported: pytest reads this file before any test module."""

import os

import hypothesis

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # start-up chatter hides what a failing test says

# The first call of a traced function takes seconds, so no deadline; the same examples every time, so that a failure
# here is a failure everywhere.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")
