#!/bin/sh
# Writes down the hash of the password where the program looks for it, then becomes the program.
set -eu
umask 077
printf '[passwords]\nlocal_password_path=%s\n[global]\ncheck_update=false\n' "$HOME" >"$HOME/glances.conf"
python3 - <<'END'
import os
from glances.password import GlancesPassword

hashes = GlancesPassword()
stored = hashes.hash_password(hashes.get_hash(os.environ["CONFIG_PASSWORD"]))
with open(os.path.join(os.environ["HOME"], os.environ["CONFIG_USERNAME"] + ".pwd"), "w") as file:
    file.write(stored)
END
exec glances --webserver --config "$HOME/glances.conf" -u "$CONFIG_USERNAME" --password --bind 0.0.0.0 --port "$PORT_HTTP" \
    --disable-autodiscover --disable-check-update
