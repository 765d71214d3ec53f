"""Serves the folder; the settings come from the environment, so the password is in no argument and no file."""
import os
import signal
import sys

from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp


def main():
    env = os.environ
    account = {env["CONFIG_USERNAME"]: {"password": env["CONFIG_PASSWORD"]}}
    app = WsgiDAVApp({
        "host": "0.0.0.0",
        "port": int(env["PORT_HTTP"]),
        "provider_mapping": {
            "/": {"root": env["VOLUME_FILES"], "readonly": env["CONFIG_READ_ONLY"] == "true"},
        },
        # Digest would have to know the password in the clear for ever; most clients do basic.
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"*": account}},
        "lock_storage": True,
        "property_manager": True,
        "verbose": 1,
    })
    # A kernel may be without IPv6.
    host = "::" if os.path.exists("/proc/net/if_inet6") else "0.0.0.0"
    server = wsgi.Server((host, int(env["PORT_HTTP"])), app, server_name="wsgidav")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"wsgidav: serving {env['VOLUME_FILES']} on port {env['PORT_HTTP']}", flush=True)
    try:
        server.start()
    finally:
        server.stop()


main()
