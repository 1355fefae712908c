"""nginx between a browser and a server, as it is often found: WebSocket does not pass."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.harness import Endpoint, free_port, program

CONFIG = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            {more}
        }}
    }}
}}
"""

BUFFERING = """
            proxy_buffering on;
            proxy_ignore_headers X-Accel-Buffering;
            gzip on;
            gzip_proxied any;
            gzip_types text/event-stream;
"""


@contextmanager
def nginx(folder: Path, upstream: int, *, buffering: bool = False) -> Iterator[Endpoint]:
    """A proxy on a port of its own."""
    front = Endpoint(free_port())
    config = folder / "nginx.conf"
    more = BUFFERING if buffering else ""
    config.write_text(CONFIG.format(folder=folder, port=front.port, upstream=upstream, more=more))
    process = subprocess.Popen(
        [program("nginx"), "-p", folder, "-e", folder / "error.log", "-c", config]
    )
    try:
        until = time.monotonic() + 10
        while True:
            assert process.poll() is None, (folder / "error.log").read_text()
            try:
                socket.create_connection((front.host, front.port), 1).close()
                break
            except OSError:
                assert time.monotonic() < until, "nginx does not listen"
                time.sleep(0.02)
        yield front
    finally:
        process.terminate()
        process.wait(10)
