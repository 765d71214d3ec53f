"""Asks as a client does: with the right password for the folder's properties."""
import base64
import http.client
import os

login = f"{os.environ['CONFIG_USERNAME']}:{os.environ['CONFIG_PASSWORD']}".encode()
headers = {"Authorization": "Basic " + base64.b64encode(login).decode(), "Depth": "0"}
connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT_HTTP"]), timeout=4)
connection.request("PROPFIND", "/", headers=headers)
status = connection.getresponse().status
if status != 207:
    raise SystemExit(f"PROPFIND / answers {status}")
