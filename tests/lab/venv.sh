# Sourced by ./quickstart and ./check, in the root of the checkout: the package in a virtual environment.

# Print a Python of at least 3.11, or say what is missing.
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: fleetpacks needs Python 3.11 or newer, and there is none on this machine's PATH" >&2
  echo "hint: install one (Debian 12 and newer: apt-get install python3), or name it: PYTHON=/path/to/python3.12 $0" >&2
  exit 1
}

# Whether a Python can make virtual environments; Debian's has that in a package of its own.
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# What has to be installed for that, for an announcement; nothing, as a rule.
announce_venv() {
  has_venv "$1" || echo '  Debian package python3-venv, with apt-get: this Python cannot make virtual environments'
}

# Ask for a go-ahead where a person sits at a terminal.
confirm() {
  [[ $1 == --yes || ! -t 0 || ! -t 1 ]] && return
  local answer
  read -r -p 'Go ahead? [Y/n] ' answer
  [[ $answer =~ ^([yY]|[yY]es|)$ ]] || { echo 'Nothing was done.'; exit 1; }
}

# make_venv PYTHON [EXTRAS]: .venv with the package, editable. A stamp says what it was made from; an interrupted
# installation leaves none and is done again.
make_venv() {
  local python=$1 extras=${2:-} stamp
  stamp=.venv/fleetpacks$extras.stamp
  if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    if ! has_venv "$python"; then
      if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "error: $python cannot make virtual environments" >&2
        echo "hint: install Python's venv module (Debian: apt-get install python3-venv)" >&2
        exit 1
      fi
      apt-get update -qq || true
      DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3-venv
    fi
    "$python" -m venv --clear .venv
  fi
  if ! sha256sum --status --check "$stamp" 2>/dev/null; then
    rm -f "$stamp"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --editable ".$extras"
    sha256sum pyproject.toml .ci/constraints.txt >"$stamp.new"
    mv "$stamp.new" "$stamp"
  fi
  export PATH="$PWD/.venv/bin:$PATH"
}
