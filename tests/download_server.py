"""A server on this machine that answers as badly as servers do."""

import http.server
import socket
import time

DATA = bytes(range(256)) * 4000  # several chunks
PAGE = b"\n<!DOCTYPE html><html><head><title>Google Drive - Quota\n exceeded</title></head></html>"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the path asks; `server.asked` lists the paths."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        name = self.path.partition("?")[0].strip("/").partition("/")[0]
        getattr(self, f"answer_{name}".replace("-", "_"), self.answer_nothing)()

    def answer(self, data, status=200, length=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if length is None or length >= 0:
            self.send_header("Content-Length", str(len(data) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def answer_good(self):
        self.answer(DATA)

    def answer_slow(self):
        time.sleep(0.2)
        self.answer(DATA)

    def answer_without_length(self):
        self.answer(DATA, length=-1)

    def answer_chunked(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n0\r\n\r\n")

    def answer_half(self):
        self.answer(DATA[:300_000], length=len(DATA))

    def answer_reset(self):
        self.answer(DATA[:300_000], length=len(DATA))
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def answer_silent(self):
        self.server.released.wait(5)

    def answer_empty(self):
        self.answer(b"")

    def answer_page(self):
        self.answer(PAGE)

    def answer_named(self):
        self.answer(DATA, Content_Disposition='attachment; filename="../my net<work>.pkl"')

    def answer_gzip(self):
        self.answer(DATA, Content_Encoding="gzip")

    def answer_redirect(self):
        self.answer(b"", 302, Location="/good/behind.pkl")

    def answer_to_file(self):
        self.answer(b"", 302, Location="file:///etc/hostname")

    def answer_to_ftp(self):
        self.answer(b"", 301, Location="ftp://127.0.0.1/x.pkl")

    def answer_circle(self):
        self.answer(b"", 302, Location=self.path)

    def answer_to_bracket(self):
        self.answer(b"", 302, Location="http://[::1/x")

    def answer_to_dots(self):
        self.answer(b"", 302, Location="http://a..b/x")

    def answer_accepted(self):
        self.answer(b'{"status": "pending"}', 202)

    def answer_part(self):
        self.answer(DATA[:1000], 206, Content_Range="bytes 0-999/4000")

    def answer_long_number(self):
        self.answer(DATA, length=-1, Content_Length="9" * 5000)

    def answer_odd_name(self):
        self.answer(DATA, Content_Disposition="attachment; filename*=utf-8''a.pkl; filename*1=b")

    def answer_huge(self):
        self.answer(DATA, length=10**17)

    def answer_titles(self):
        self.answer(b"<title>" * 14_000)

    def answer_more(self):  # http.client believes the chunks
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n0\r\n\r\n")

    def answer_nothing(self):
        self.answer(b"no such thing", 404)

    def answer_forbidden(self):
        self.answer(b"", 403)

    def log_message(self, *args):
        pass
