"""What depends on where a run stands, as pure functions (F4)."""


def lazy_factor(interval):
    """`c = k / (k + 1)` for a regularisation every k-th step (StyleGAN2, section 3.1; appendix B).

    The learning rate is multiplied by c and Adam's betas raised to it, so that one round of k main steps and one
    regularisation step moves as far as k steps would have.
    """
    return interval / (interval + 1)


def adam_settings(learning_rate, beta1, beta2, interval=None):
    """Adam's settings under lazy regularisation with `interval` (None: no lazy regularisation).

    Returns:
        dict of learning_rate, beta1, beta2.
    """
    c = lazy_factor(interval) if interval else 1.0
    return {"learning_rate": learning_rate * c, "beta1": beta1**c, "beta2": beta2**c}


def regularise(step, interval):
    """Whether the step of this number (from 0) is followed by a regularisation step."""
    return bool(interval) and step % interval == 0
