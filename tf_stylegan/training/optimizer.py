"""Adam as TensorFlow 1 had it, able to leave everything as it was when a gradient is not finite (F4)."""

import tensorflow as tf


class Adam:
    """Adam (Kingma and Ba 2015), epsilon outside the bias correction; one fused kernel per variable.

    Keras' Adam uses the same formula, but cannot skip a step: under a strategy its `apply` may not stand in a
    condition. Here a step that is to be skipped runs with a zero gradient, a zero rate and betas of 1, which changes
    neither a variable nor a slot, bit for bit.

    Args:
        variables: list of `tf.Variable`s, made under the strategy's scope as this object must be.
        names: a name for each, for `state`.
        learning_rate, beta1, beta2, epsilon: floats.
    """

    def __init__(self, variables, names, learning_rate, beta1, beta2, epsilon):
        self.variables = list(variables)
        self.names = list(names)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.learning_rate = tf.Variable(learning_rate, trainable=False, dtype=tf.float32)  # no state: the schedule's
        self.m = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.v = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.iterations = tf.Variable(0, trainable=False, dtype=tf.int64, name="iterations")

    def state(self):
        """dict of names to the variables a checkpoint must hold."""
        slots = {f"m/{name}": m for name, m in zip(self.names, self.m)}
        slots.update({f"v/{name}": v for name, v in zip(self.names, self.v)})
        return {**slots, "iterations": self.iterations}

    def reset(self):
        """Forgets all steps taken; call it outside of replicas."""
        for slot in (*self.m, *self.v, self.iterations):
            slot.assign(tf.zeros_like(slot))

    def apply(self, grads, finite):
        """Takes a step; call it in every replica.

        Args:
            grads: one tensor per variable, already summed over replicas.
            finite: scalar bool tensor, the same in every replica; False skips the step.
        """
        tf.distribute.get_replica_context().merge_call(self._apply, args=(grads, finite))

    def _apply(self, strategy, grads, finite):
        finite = strategy.experimental_local_results(finite)[0]
        t = tf.cast(self.iterations + 1, tf.float32)
        power1, power2 = tf.pow(self.beta1, t), tf.pow(self.beta2, t)
        settings = (
            power1,
            power2,
            tf.where(finite, self.learning_rate, 0.0),
            tf.where(finite, self.beta1, 1.0),
            tf.where(finite, self.beta2, 1.0),
        )

        def update(var, m, v, grad, power1, power2, learning_rate, beta1, beta2, finite):
            return tf.raw_ops.ResourceApplyAdam(
                var=var.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=power1,
                beta2_power=power2,
                lr=learning_rate,
                beta1=beta1,
                beta2=beta2,
                epsilon=self.epsilon,
                grad=tf.where(finite, grad, 0.0),
            )

        for var, m, v, grad in zip(self.variables, self.m, self.v, grads):
            strategy.extended.update(var, update, args=(m, v, grad, *settings, finite), group=False)
        strategy.extended.update(
            self.iterations, lambda var, step: var.assign_add(step), args=(tf.cast(finite, tf.int64),), group=False
        )


class LossScale:
    """Keeps small gradients within the range of float16: the loss is multiplied before, the gradients divided after.

    The factor halves whenever a step is not finite and doubles in 2000 that are (Micikevicius et al. 2018, section 3.2,
    with the rates of dnnlib/tflib/optimizer.py of the original). Make it under the strategy's scope.
    """

    START, UP, DOWN = 12.0, 0.0005, 1.0  # of the binary logarithm

    def __init__(self):
        self.log2 = tf.Variable(self.START, trainable=False, aggregation=tf.VariableAggregation.MEAN)

    @property
    def factor(self):
        """Scalar float32."""
        return tf.pow(2.0, self.log2)

    def update(self, finite):
        """To be called in every replica with whether the step was finite, the same in each."""
        self.log2.assign(tf.clip_by_value(self.log2 + tf.where(finite, self.UP, -self.DOWN), 0.0, 24.0))
