"""The moving average of the generator's weights (F4)."""


class MovingAverage:
    """Keeps `average` close behind `network`: `a ← w + (a − w) · beta` for what is trained, plain copies of the rest.

    `average` starts as a copy. ProGAN, section 6.1; `setup_as_moving_average_of` of dnnlib/tflib/network.py.
    """

    def __init__(self, network, average):
        by_name = {v.path.split("/", 1)[1]: v for v in average.variables}
        self._pairs = [(by_name[v.path.split("/", 1)[1]], v) for v in network.variables]
        for target, source in self._pairs:
            target.assign(source)

    def update(self, strategy, beta):
        """One step; call it outside of replicas. `beta` may be a tensor."""

        def follow(average, value, beta):
            return average.assign(value + (average - value) * beta)

        def copy(average, value):
            return average.assign(value)

        for target, source in self._pairs:
            function, args = (follow, (source.value, beta)) if source.trainable else (copy, (source.value,))
            strategy.extended.update(target.value, function, args=args, group=False)
