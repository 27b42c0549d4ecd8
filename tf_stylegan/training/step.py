"""The kinds of training step: G, G_reg, D and D_reg, each one graph run on every replica (F4).

Order and content of training/training_loop.py and training/loss.py of NVlabs/stylegan2: G, path length, moving average,
D, R1. A batch is dealt to replicas round-robin, so that replicas together take the very step one device would take.
"""

import functools
import math

import tensorflow as tf

from tf_stylegan.data.pipeline import process_reals
from tf_stylegan.networks.growing import Lod
from tf_stylegan.ops import random
from tf_stylegan.ops.compiled_conv import in_pieces
from tf_stylegan.training import penalties
from tf_stylegan.training.losses import D_LOSSES, G_LOSSES
from tf_stylegan.training.schedule import layers_come_in, lazy_factor, stage_at

KINDS = ("G", "G_reg", "D", "D_reg")
PURPOSES = ("latents", "noise", "mixing", "dlatents", "synthesis", "mirror")


class Draws:
    """What a step draws at random on one replica; a test may put recorded numbers in its place.

    Args:
        source: `ops.random.Source` of this step, kind, round and replica.
    """

    def __init__(self, source):
        self._source = source

    def source(self, purpose):
        """The source of its own that each of PURPOSES has."""
        return self._source.fold_in(PURPOSES.index(purpose))

    def normal(self, purpose, shape):
        return self.source(purpose).normal(shape)

    def uniform(self, purpose, shape):
        return self.source(purpose).uniform(shape)


class TrainStep:
    """Runs steps on a `TrainState`.

    Args:
        config: TrainingConfig.
        state: TrainState.
        strategy: the strategy the state was made under.
        make_draws: `Draws` or a stand-in with its methods.
    """

    def __init__(self, config, state, strategy, make_draws=Draws):
        self.config, self.state, self.strategy, self.make_draws = config, state, strategy, make_draws
        self._functions = {}
        self._sums = {}
        self.set_stage(stage_at(config, state.progress.cur_nimg))

    def set_stage(self, stage):
        """Makes the steps to come those of a `schedule.Stage`; where other layers come in, Adam starts afresh."""
        self.stage = stage
        config, progress = self.config, self.state.progress
        optimizers = [(self.state.G_optimizer, config.G_reg_interval), (self.state.D_optimizer, config.D_reg_interval)]
        for optimizer, interval in optimizers:
            factor = lazy_factor(interval) if config.lazy_regularization else 1.0
            optimizer.learning_rate.assign(stage.learning_rate * factor)
        if config.growing:
            if progress.lod is not None and layers_come_in(progress.lod, stage.lod):
                for optimizer, _ in optimizers:
                    optimizer.reset()
            if progress.lod != stage.lod:
                self.state.set_lod(stage.lod)
            progress.lod = stage.lod
        if stage.rounds > 1 and not self._sums:
            local = {
                "trainable": False,
                "synchronization": tf.VariableSynchronization.ON_READ,
                "aggregation": tf.VariableAggregation.SUM,
            }
            with self.strategy.scope():
                for name, (optimizer, _) in zip("GD", optimizers):
                    self._sums[name] = [tf.Variable(tf.zeros_like(v), **local) for v in optimizer.variables]

    def run(self, kind, seed, labels, images=None):
        """Takes one step of a kind, with as many rounds of accumulation as the configuration says.

        Args:
            kind: one of KINDS.
            seed: int32 `[2]`, different for every step of the run.
            labels: float32 `[B, label_size]`, B = images of all rounds and replicas; for "G_reg" those of the smaller
                path-length batch.
            images: for "D" and "D_reg": the real images, uint8 `[B, H, W, C]`, or float32 already in [-1, 1].
        Returns:
            dict of scalar tensors: the losses' means, and "finite": whether the update was taken.
        """
        rounds = self.stage.rounds
        size = labels.shape[0] // rounds
        found = []
        for i in range(rounds):
            part = slice(i * size, (i + 1) * size)
            args = [tf.constant(seed, tf.int32), tf.constant(i), self._fraction(), self._deal(labels[part])]
            if images is not None:
                args.append(self._deal(images[part]))
            found.append(self._function(kind, last=i == rounds - 1)(*args))
        means = {name: tf.add_n([stats[name] for stats in found]) / rounds for name in found[0]}
        return {**found[-1], **means}  # "finite" comes with the last round

    def update_average(self):
        """Moves Gs towards G."""
        self._update_average(tf.constant(self.stage.ema_beta))

    @tf.function
    def _update_average(self, beta):
        self.state.average.update(self.strategy, beta)

    def _deal(self, batch):
        count = self.strategy.num_replicas_in_sync
        if count == 1:
            return tf.convert_to_tensor(batch)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(batch[context.replica_id_in_sync_group :: count])
        )

    def _function(self, kind, last):
        """The graph of one kind of step; one for every whole level of detail, fading or not."""
        stage = self.stage.rounds, math.floor(self.stage.lod), self.stage.lod % 1 != 0
        key = kind, last, *stage
        if key not in self._functions:
            # Graphs of stages that are over hold memory, and do not come back.
            self._functions = {known: function for known, function in self._functions.items() if known[2:] == stage}
            # A partial, since TensorFlow takes functions of one source line for one function traced too often.
            self._functions[key] = tf.function(functools.partial(self._all_replicas_step, *key))
        return self._functions[key]

    def _fraction(self):
        return tf.constant(self.stage.lod % 1, tf.float32)

    def _all_replicas_step(self, kind, last, rounds, floor, fades, seed, round_number, fraction, *data):
        lod = Lod(floor, fraction if fades else 0.0)  # 0 of networks that do not grow, or are trained at full size
        args = (kind, last, rounds, lod, seed, round_number, *data)
        stats = self.strategy.run(self._replica_step, args=args)
        return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in stats.items()}

    def _replica_step(self, kind, last, rounds, lod, seed, round_number, labels, images=None):
        context = tf.distribute.get_replica_context()
        count = context.num_replicas_in_sync
        source = random.Source(seed, context.replica_id_in_sync_group, count)
        draws = self.make_draws(source.fold_in(KINDS.index(kind), round_number))
        name = kind[0]
        optimizer = self.state.G_optimizer if name == "G" else self.state.D_optimizer
        scale = self._loss_scale(name)
        if images is not None and images.dtype == tf.uint8:
            mirror = draws.source("mirror") if self.config.options.mirror_augment else None
            images = process_reals(images, mirror, lod.fraction)
        with in_pieces(), tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(optimizer.variables)
            loss, stats = self._losses(kind, draws, lod, labels, images)
            # Gradients are summed over replicas and rounds, so each contributes its part of the mean.
            loss /= count * rounds
            scaled = loss * scale
        grads = tape.gradient(scaled, optimizer.variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if name in self.state.loss_scales:
            grads = [grad / scale for grad in grads]
        if rounds > 1:
            for total, grad in zip(self._sums[name], grads):
                total.assign_add(grad)
        if not last:
            return stats
        if rounds > 1:
            grads = [tf.identity(total.read_value()) for total in self._sums[name]]
            for total in self._sums[name]:
                total.assign(tf.zeros_like(total.read_value()))
        *grads, loss = context.all_reduce(tf.distribute.ReduceOp.SUM, [*grads, loss])
        # A NaN or an infinity anywhere makes the sum of 0·g² not zero: one pass, no array of flags. Squared, since Adam
        # squares: a gradient above 1.8e19 would leave an infinity in its slots for good.
        finite = tf.math.is_finite(loss) & tf.equal(tf.add_n([tf.reduce_sum(tf.square(grad) * 0) for grad in grads]), 0)
        optimizer.apply(grads, finite)
        if name in self.state.loss_scales:
            self.state.loss_scales[name].update(finite)
        return {**stats, "finite": tf.cast(finite, tf.float32)}

    def _loss_scale(self, name):
        """Factor that keeps gradients in the range of the networks' precision; 1.0 where they need none."""
        return self.state.loss_scales[name].factor if name in self.state.loss_scales else 1.0

    def _losses(self, kind, draws, lod, labels, images):
        """(scalar loss of this replica, dict of statistics) of one kind of step."""
        config, lazy = self.config, self.config.lazy_regularization
        if kind == "G":
            loss, stats = self._g_main(draws, lod, labels)
            if not lazy and config.loss.g_penalty:
                penalty, more = self._g_penalty(draws, lod, labels)
                loss, stats = loss + penalty, {**stats, **more}
            return loss, stats
        if kind == "G_reg":
            loss, stats = self._g_penalty(draws, lod, labels)
            return loss * config.G_reg_interval, stats
        if kind == "D":
            loss, stats = self._d_main(draws, lod, labels, images)
            if not lazy and config.loss.d_penalty:
                penalty, more = self._d_penalty(draws, lod, labels, images)
                loss, stats = loss + penalty, {**stats, **more}
            return loss, stats
        loss, stats = self._d_penalty(draws, lod, labels, images)
        return loss * config.D_reg_interval, stats

    def _fakes(self, draws, lod, labels):
        G = self.state.G
        latents = draws.normal("latents", [labels.shape[0], G.latent_size])
        dlatents = G.training_dlatents(latents, labels, draws.source("dlatents"), lod)
        return G.synthesize(dlatents, seed=draws.source("synthesis"), lod=lod, full_size=False)

    def _scores(self, images, labels, lod):
        D = self.state.D
        return D(images, labels, lod=lod) if D.grows else D(images, labels)

    def _g_main(self, draws, lod, labels):
        scores = self._scores(self._fakes(draws, lod, labels), labels, lod)
        loss = tf.reduce_mean(G_LOSSES[self.config.loss.g_loss](scores))
        return loss, {"G_loss": loss}

    def _g_penalty(self, draws, lod, labels):
        """Path-length regularisation (StyleGAN2, section 3.2)."""
        G, settings, pl_mean = self.state.G, self.config.loss, self.state.pl_mean
        latents = draws.normal("latents", [labels.shape[0], G.latent_size])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            dlatents = G.training_dlatents(latents, labels, draws.source("dlatents"), lod)
            tape.watch(dlatents)
            # At a level of detail the pictures are small. Noise for enlarged ones would add up over repeated pixels to
            # the very distribution that noise of the small size has, divided by the root of the small size.
            images = G.synthesize(dlatents, seed=draws.source("synthesis"), lod=lod, full_size=False)
            noise = draws.normal("noise", images.shape) / math.sqrt(images.shape[1] * images.shape[2])
            product = tf.reduce_sum(images * noise) * self._loss_scale("G")
        lengths = penalties.path_lengths(tape.gradient(product, dlatents) / self._loss_scale("G"))
        # The mean over all replicas, differentiable: the gradient flows through it as in the original.
        context = tf.distribute.get_replica_context()
        mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(lengths))
        mean = pl_mean + settings.pl_decay * (mean - pl_mean)
        pl_mean.assign(tf.where(tf.math.is_finite(mean), mean, pl_mean))  # not poisoned by one bad batch
        penalty = tf.reduce_mean(tf.square(lengths - mean)) * settings.pl_weight
        return penalty, {"G_reg": penalty, "pl_mean": mean}

    def _d_main(self, draws, lod, labels, reals):
        settings = self.config.loss
        with in_pieces(False):  # G is not differentiated
            fakes = self._fakes(draws, lod, labels)
        fake_scores = self._scores(fakes, labels, lod)
        real_scores = self._scores(reals, labels, lod)
        more = {"epsilon": settings.wgan_epsilon} if settings.d_loss == "wgan" else {}
        loss = tf.reduce_mean(D_LOSSES[settings.d_loss](real_scores, fake_scores, **more))
        scores = {"scores_real": tf.reduce_mean(real_scores), "scores_fake": tf.reduce_mean(fake_scores)}
        return loss, {"D_loss": loss, **scores}

    def _d_penalty(self, draws, lod, labels, reals):
        settings = self.config.loss
        images = reals
        if settings.d_penalty in ("r2", "wgan_gp"):
            with in_pieces(False):
                images = self._fakes(draws, lod, labels)
        if settings.d_penalty == "wgan_gp":
            mix = draws.uniform("mixing", [labels.shape[0], 1, 1, 1])
            images = reals + (images - reals) * mix
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = tf.reduce_sum(self._scores(images, labels, lod)) * self._loss_scale("D")
        # At a level of detail the pictures are small. The originals enlarge them by repeating pixels, which D averages
        # again: each of the factor² copies has a gradient of 1 / factor², and their norm is that of the small picture's
        # divided by the factor.
        factor = self.state.D.resolution // images.shape[1]
        gradients = tape.gradient(scores, images) / (self._loss_scale("D") * factor)
        if settings.d_penalty == "wgan_gp":
            penalty = penalties.wgan_gp(gradients, settings.wgan_lambda, settings.wgan_target)
        else:
            penalty = penalties.squared_norm(gradients, settings.gamma)
        penalty = tf.reduce_mean(penalty)
        return penalty, {"D_reg": penalty}
