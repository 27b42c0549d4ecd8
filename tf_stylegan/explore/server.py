"""Serves the page: one address, nothing from anywhere else (F6; FastAPI, uvicorn)."""

import contextlib

import fastapi
import gradio as gr
import uvicorn
from fastapi.responses import FileResponse, PlainTextResponse, Response

from tf_stylegan.explore import look
from tf_stylegan.explore.address import is_loopback, is_ours
from tf_stylegan.explore.session import latents_file

# The browser itself refuses whatever would leave this machine. Gradio needs the three "unsafe" ones of its own page.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [(b"content-security-policy", _POLICY.encode()), (b"referrer-policy", b"no-referrer")]


class Guard:
    """ASGI middleware: our headers on every answer, and nothing for other websites; see `address.is_ours`."""

    def __init__(self, app, local):
        self._app, self._local = app, local

    async def __call__(self, scope, receive, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        app = self._app
        if scope["type"] == "http" and not is_ours(dict(scope["headers"]), self._local):
            app = PlainTextResponse("This page answers to its own address only, and to no other website.", 403)
        await app(scope, receive, send_with_headers)


def make_app(page, host="127.0.0.1"):
    """The FastAPI app of a Page: Gradio's, and the files that sessions have made.

    Args:
        host: address that it will be served at.
    """
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, local=is_loopback(host))
    gone = PlainTextResponse("This file is no longer kept; make it again.", 404)

    @app.get("/made/{token}/{number}.png")
    def picture(token: str, number: int):
        session = page.sessions.with_token(token)
        shown = session and session.shown(number)
        return Response(shown.data, media_type="image/png") if shown else gone

    @app.get("/made/{token}/{number}.npz")
    def latents(token: str, number: int):
        session = page.sessions.with_token(token)
        shown = session and session.shown(number)
        if not shown:
            return gone
        return Response(latents_file(page.explorer, shown.settings), media_type="application/octet-stream")

    @app.get("/made/{token}/{number}.mp4")
    def film(token: str, number: int):
        session = page.sessions.with_token(token)
        if not session or not session.film or session.film[0] != number:
            return gone
        return FileResponse(session.film[1], media_type="video/mp4")

    return gr.mount_gradio_app(
        app, page.layout.blocks, path="/", theme=look.theme(), css=look.CSS, footer_links=[], run_history=False,
        enable_monitoring=False, pwa=False, mcp_server=False, ssr_mode=False, show_error=False, max_file_size=1,
    )  # fmt: skip


class Server(uvicorn.Server):
    """uvicorn that serves an app on a socket; `run` until Ctrl-C, or in a thread until `should_exit`."""

    def __init__(self, app, listening):
        # Streams to open pages never end by themselves: they are not waited for.
        super().__init__(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        self._listening = listening

    def run(self):
        with contextlib.closing(self._listening):
            super().run(sockets=[self._listening])
