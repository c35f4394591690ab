# Sourced by the scripts beside it: finds or installs uv, and makes virtual environments from the lock file.
# Needs Python 3.11 or newer and the package registries, nothing else.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${OPENCODE_A2A_CACHE:-$root/.cache}"

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  echo "Python 3.11 or newer is needed; set PYTHON to one." >&2
  return 1
}

find_uv() {
  if command -v uv >/dev/null 2>&1; then
    command -v uv
    return
  fi
  if [ ! -x "$cache/uv/bin/uv" ]; then
    "$python" -m venv "$cache/uv" >&2
    "$cache/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv >&2
  fi
  echo "$cache/uv/bin/uv"
}

# make_venv DIR GROUPS...: an environment with exactly the locked packages, and the project itself, editable.
make_venv() {
  local venv="$1"
  if [ ! -x "$venv/bin/python" ]; then
    "$uv" venv --quiet --python "$python" "$venv"
  fi
  "$uv" pip sync --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes "$root/requirements.lock"
  "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable "$root"
}

python="$(find_python)"
uv="$(find_uv)"
