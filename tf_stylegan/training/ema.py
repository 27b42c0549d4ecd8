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
        """One step; call it outside of replicas."""
        for target, source in self._pairs:
            decay = beta if source.trainable else 0.0
            strategy.extended.update(
                target.value,
                lambda t, s, decay=decay: t.assign(s + (t - s) * decay if decay else s),
                args=(source.value,),
                group=False,
            )
