"""Asks as a client does: with the right password for the load of the machine."""
import base64
import json
import os
import urllib.request

login = f"{os.environ['CONFIG_USERNAME']}:{os.environ['CONFIG_PASSWORD']}".encode()
request = urllib.request.Request(f"http://127.0.0.1:{os.environ['PORT_HTTP']}/api/4/load")
request.add_header("Authorization", "Basic " + base64.b64encode(login).decode())
with urllib.request.urlopen(request, timeout=8) as answer:
    if "cpucore" not in json.load(answer):
        raise SystemExit("the answer has no load")
