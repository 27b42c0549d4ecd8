"""What every layer must do, whatever it computes: one call checks all of it."""

import importlib
import json

import keras
import numpy as np
import tensorflow as tf
from helpers import assert_close


def check_layer(cls, kwargs, inputs, output, weights):
    """Fails unless the layer behaves as a Keras layer should.

    Args:
        cls: class of the layer.
        kwargs: arguments of its constructor, less `name`.
        inputs: shapes of the tensors that it is called with, batch included.
        output: shape of what it returns for them.
        weights: dict from each weight's name (behind that of an inner layer, "Noise/weight") to its shape, in the order
            of creation, inner layers last; all are trainable.
    Returns:
        (layer, input tensors, output), the weights being random numbers, none of them zero.
    """
    rnd = np.random.RandomState(0)
    tensors = [tf.constant(rnd.randn(*shape).astype(np.float32)) for shape in inputs]
    layer = cls(**kwargs, name="tested")
    layer(*tensors)
    for variable in layer.weights:
        variable.assign(rnd.randn(*variable.shape))
    y = layer(*tensors)
    assert y.shape == output
    assert y.dtype == tf.float32
    assert np.isfinite(y).all()

    check_weights(layer, weights)
    check_gradients(layer, tensors)
    check_config(layer, kwargs, tensors, y)
    check_tracing(layer, tensors, y)
    return layer, tensors, y


def check_weights(layer, weights):
    assert {v.path: tuple(v.shape) for v in layer.variables} == {f"tested/{k}": tuple(v) for k, v in weights.items()}
    assert [v.path for v in layer.trainable_variables] == [f"tested/{k}" for k in weights]
    assert len(layer.variables) == len(weights), "two variables share a path"


def check_gradients(layer, tensors):
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = tf.reduce_sum(layer(*tensors) ** 3)
    variables = [v.value for v in layer.trainable_variables]
    for variable, gradient in zip(layer.trainable_variables, tape.gradient(loss, variables)):
        assert gradient is not None, f"no gradient for {variable.path}"
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0, f"gradient zero for {variable.path}"


def check_config(layer, kwargs, tensors, y):
    """A layer made from the config, as data or through Keras's files, is the same layer."""
    config = layer.get_config()
    assert {key: config[key] for key in kwargs} == kwargs
    from_config = type(layer).from_config(json.loads(json.dumps(config)))
    assert from_config.get_config() == config
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert serialised["registered_name"] == f"tf_stylegan>{type(layer).__name__}"
    deserialised = keras.saving.deserialize_keras_object(serialised)
    assert type(deserialised) is type(layer)
    assert [v.path for v in deserialised.weights] == [v.path for v in layer.weights], "build config lost"
    for twin in (from_config, deserialised):
        twin(*tensors)
        twin.set_weights(layer.get_weights())
        assert_close(twin(*tensors), y, 0)


def check_tracing(layer, tensors, y):
    """Batch size unknown: in a tf.function, and as part of a functional model."""
    specs = [tf.TensorSpec([None, *t.shape[1:]]) for t in tensors]
    traced = tf.function(lambda *args: layer(*args), input_signature=specs)
    assert_close(traced(*tensors), y, 1e-6)
    symbols = [keras.Input(t.shape[1:]) for t in tensors]
    model = keras.Model(symbols, layer(*symbols))
    assert model.output_shape == (None, *y.shape[1:])
    assert_close(model(tensors), y, 1e-6)


def public_layers(module):
    """The classes of `tf_stylegan.layers.<module>` that are layers and not only there to be derived from."""
    module = importlib.import_module(f"tf_stylegan.layers.{module}")
    return {
        cls
        for cls in vars(module).values()
        if isinstance(cls, type)
        and issubclass(cls, keras.layers.Layer)
        and cls.__module__ == module.__name__
        and cls.__name__ not in ("Layer", "EqualizedLayer", "Epilogue")
    }
