#!/bin/sh
# Make everything that the program needs: system packages, .venv, Python packages.
#
#   sh Makefile.d/setup.sh        or `make setup`
#   PYTHON=/path/to/python3.12    to choose the interpreter
#
# Safe to run at any time. A finished set-up is recognised and left alone. An interrupted one is
# finished: apt mends its packages, and an environment without its stamp is made anew.

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
here=$root/Makefile.d
venv=$root/.venv
stamp=$venv/.complete

say() { printf "setup: %s\n" "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

# ---------------------------------------------------------------- Python

# The X.Y of the interpreter $1, or nothing if it is not one that the program runs on.
# It is really run: a launcher on PATH may have no interpreter behind it.
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null |
        tr -d '\r' | grep -E '^3\.1[12]$' || true
}

exact_version_of() { "$1" -c 'import sys; print(sys.version)' | tr -d '\r'; }

# The interpreter of the environment, or nothing if it has none that runs.
python_inside() {
    for candidate in "$venv/bin/python" "$venv/Scripts/python.exe"; do
        if [ -n "$(version_of "$candidate")" ]; then echo "$candidate"; fi
    done
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        if [ -n "$(version_of "$PYTHON")" ]; then command -v "$PYTHON"; fi
        return
    fi
    # A finished environment keeps its interpreter, whatever else appears on PATH.
    inside=$(python_inside)
    if [ -f "$stamp" ] && [ -n "$inside" ]; then
        "$inside" -c 'import sys; print(sys._base_executable)'
        return
    fi
    for candidate in python3.11 python3.12 python3 python; do
        if [ -n "$(version_of "$candidate")" ]; then
            command -v "$candidate"
            return
        fi
    done
}

# Debian's Python comes without what makes environments.
makes_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# ---------------------------------------------------------------- system packages

wanted_packages() {
    sed 's/#.*//' "$here/debian-packages.txt" | tr -s ' \t' '\n' | sed '/^$/d'
    python=$(find_python)
    if [ -z "$python" ]; then
        if [ -z "${PYTHON:-}" ]; then echo python3-venv; fi
    elif ! makes_environments "$python"; then
        echo "python$(version_of "$python")-venv"
    fi
}

missing_packages() {
    wanted=$(wanted_packages)
    # shellcheck disable=SC2016,SC2086  # dpkg-query's own variables; one word a package
    installed=$(dpkg-query -W -f '${Package}=${db:Status-Status}\n' $wanted 2>/dev/null || true)
    for package in $wanted; do
        if ! printf '%s\n' "$installed" | grep -qx "$package=installed"; then
            printf '%s ' "$package"
        fi
    done
}

# Run a command as root without ever asking: no terminal may be there to answer. It does not hold the
# lock of this script, lest a service that apt starts keep it for ever.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@" </dev/null 9<&-
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@" </dev/null 9<&-
    fi
}

# After a set-up that was ended half-way, dpkg refuses everything until it has gone on from there; and
# the dpkg of that set-up may still be at work.
mend_packages() {
    waited_s=0
    while ! message=$(as_root env LC_ALL=C dpkg --configure -a 2>&1); do
        case $message in
        *lock*) ;;
        *) break ;;
        esac
        if [ "$waited_s" = 0 ]; then say "waiting for another installation to end"; fi
        if [ "$waited_s" -ge 300 ]; then fail "another installation holds dpkg: $message"; fi
        sleep 2
        waited_s=$((waited_s + 2))
    done
}

install_packages() {
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        fail "system packages are missing, and installing them needs a password. Type this, then repeat:
sudo apt-get update && sudo apt-get install --yes --no-install-recommends $*"
    fi
    say "installing with apt: $*"
    mend_packages
    as_root apt-get -o DPkg::Lock::Timeout=300 update --quiet ||
        say "apt-get update had faults (above); going on with the package lists that are there"
    as_root apt-get -o DPkg::Lock::Timeout=300 install --quiet --yes --no-install-recommends \
        --fix-broken "$@" ||
        fail "apt could not install what is needed; see its message above"
}

system() {
    if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
        if [ ! -f "$stamp" ]; then
            say "no apt here: if PsychoPy's window does not open, install OpenGL (and, without a monitor, Xvfb)"
        fi
        return
    fi
    missing=$(missing_packages)
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086  # one word a package
        install_packages $missing
    fi
}

# ---------------------------------------------------------------- environment

# Everything that the environment follows from; the folder too, because its scripts hold the path.
fingerprint() {
    {
        cat "$root/pyproject.toml" "$root/constraints.txt" "$here/setup.sh"
        printf '%s\n' "$root"
        exact_version_of "$1"
    } | cksum
}

environment() {
    python=$(find_python)
    if [ -z "$python" ]; then
        fail "no Python 3.11 or 3.12${PYTHON:+ at PYTHON=$PYTHON}. Install one (from python.org, conda, pyenv or uv)" \
            "and name it if it is not on PATH: PYTHON=/path/to/python3.12 make setup"
    fi
    key=$(fingerprint "$python")
    inside=$(python_inside)
    if [ -n "$inside" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
        return
    fi
    if ! makes_environments "$python"; then
        fail "$python cannot make environments: install its venv and ensurepip modules"
    fi
    # Made anew, not mended: pip takes a package that was cut off half-way for an installed one.
    version=$(exact_version_of "$python")
    if [ ! -f "$stamp" ] || [ -z "$inside" ] || [ "$(exact_version_of "$inside")" != "$version" ]; then
        say "making .venv with $python, Python $version"
        rm -rf "$venv"
        "$python" -m venv "$venv"
        inside=$(python_inside)
    fi
    rm -f "$stamp"
    say "installing Python packages: some minutes the first time"
    (cd "$root" && "$inside" -m pip install --no-input --disable-pip-version-check \
        --constraint constraints.txt --editable '.[dev]' </dev/null) ||
        fail "pip could not install the packages; see its message above, then repeat"
    printf '%s\n' "$key" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    say "done: .venv is complete"
}

# One at a time; the pip of a set-up that was killed counts, too.
if command -v flock >/dev/null 2>&1; then
    exec 9<"$here/setup.sh"
    if ! flock --nonblock 9; then
        say "waiting for another set-up to end"
        flock 9
    fi
fi

system
environment
