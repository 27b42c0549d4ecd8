"""A page for looking into a network, without a terminal: `python -m tf_stylegan.explore --network=FILE`.

From the network to the browser: `settings.py` checks what controls say, `drawing.py` draws, `session.py` remembers what
one browser's page has made; none of these knows of web pages. `markup.py`, `look.py` and `layout.py` are what is seen,
`page.py` what it does, `server.py` serves it.
"""

import os

# Before anything imports Gradio, which would ask its makers for the newest version and tell them of this one.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
