"""The sub-commands of run_generator (F6): options, what can be checked before TensorFlow is there, one call."""
