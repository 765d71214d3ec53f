# Installs Python packages into .pip of the release: as a virtual environment where this Python can make one,
# else as a plain folder, which the agent puts on PYTHONPATH.
set -u
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1
if [ -x .pip/bin/python ] || python3 -m venv .pip; then
  exec .pip/bin/python -m pip install -- "$@"
fi
rm -rf .pip
if python3 -m pip --version >/dev/null 2>&1; then
  exec python3 -m pip install --target .pip -- "$@"
fi
echo "error: this node can neither make a Python virtual environment nor run pip" >&2
echo "hint: apt-get install python3-venv" >&2
exit 1
