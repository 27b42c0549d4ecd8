"""Which devices a run uses (F4)."""

import tensorflow as tf

from tf_stylegan import cli
from tf_stylegan.errors import UserError


def make_strategy(num_gpus):
    """MirroredStrategy over GPUs with memory growth on or, on a machine without, over as many logical CPU devices.

    Call it before anything else touches TensorFlow's devices.

    Returns:
        (strategy, one line for the user).
    Raises:
        UserError: when there are GPUs, but fewer than asked for or none that TensorFlow can use for several, or
            TensorFlow's devices are already in use.
    """
    gpus = tf.config.list_physical_devices("GPU")
    try:
        if gpus:
            if len(gpus) < num_gpus:
                raise UserError(f"--num-gpus={num_gpus}: TensorFlow sees {len(gpus)} here; ask for at most that many")
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
            devices = [f"/gpu:{i}" for i in range(num_gpus)]
            what = f"Training on {num_gpus} GPU{'s' if num_gpus > 1 else ''}."
        else:
            trouble = cli.gpu_trouble()
            if num_gpus > 1:
                if trouble:
                    raise UserError(f"--num-gpus={num_gpus}: {trouble}")
                cpu = tf.config.list_physical_devices("CPU")[0]
                tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * num_gpus)
            devices = [f"/cpu:{i}" for i in range(num_gpus)]
            what = "TensorFlow sees no GPU here: training on the CPU" + (
                f", as {num_gpus} replicas that share its cores." if num_gpus > 1 else "."
            )
            if trouble:
                what = f"Training on the CPU: {trouble}."
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"--num-gpus={num_gpus}: TensorFlow's devices are already set up otherwise ({error})"
        ) from error
    return tf.distribute.MirroredStrategy(devices), what
