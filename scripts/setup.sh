#!/bin/sh
# Brings a fresh Debian 12 or 13 (root, npm) to where everything of this repository runs: Debian packages by name,
# npm packages by the lock file, the native parts from source. Runs in any shell and needs no Node.js of its own;
# what is there already is left alone, so a second run takes a moment.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# What each Debian package is needed for stands in docs/dependencies.md.
PACKAGES="gcc libc6-dev make musl-tools iproute2 nftables util-linux tcpdump"
# Only tests and benchmarks use these.
TEST_PACKAGES="clang libclang-rt-dev containernetworking-plugins iptables containerd runc podman busybox-static openssl ethtool kubernetes-client"

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# A package whose name differs between Debian releases is looked up by the release's own compiler version.
concrete() {
  case "$1" in
    libclang-rt-dev) apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1 ;;
    *) echo "$1" ;;
  esac
}

# Installs packages and starts none of their services (containerd brings one: only tests run it, with folders of their
# own). A policy that the machine has already stays as it is.
POLICY=/usr/sbin/policy-rc.d
apt_install() (
  if [ ! -e "$POLICY" ]; then
    trap 'rm -f "$POLICY"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
)

install_packages() {
  missing=
  for package in "$@"; do
    # A kubectl of another origin does as well, and Debian's would not go beside it.
    [ "$package" = kubernetes-client ] && command -v kubectl >/dev/null && continue
    name=$(concrete "$package")
    [ -n "$name" ] && installed "$name" && continue
    missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "missing:$missing; install what your distribution calls them, then run this again"
  [ "$(id -u)" = 0 ] || die "missing Debian packages:$missing; run this as root, or install them yourself"
  say "installs these Debian packages now:$missing"
  apt-get update -q >/dev/null || die 'apt-get update failed; see above'
  names=
  for package in $missing; do names="$names $(concrete "$package")"; done
  # shellcheck disable=SC2086 # a list of names
  apt_install $names || die "apt-get could not install$names; see above"
}

# shellcheck disable=SC2086 # lists of names
install_packages $PACKAGES
# shellcheck disable=SC2086
[ "${FAIRLEAD_SETUP:-all}" = runtime ] || install_packages $TEST_PACKAGES

if ! cmp -s package-lock.json node_modules/.fairlead-lock 2>/dev/null; then
  say 'installs the npm packages of package-lock.json now (Node.js 24 among them)'
  # Not `npm ci`: it refuses a lock file without the optional packages of platforms that a registry does not carry.
  npm install --no-save --no-progress >/dev/null || die 'npm install failed; see above'
  cp package-lock.json node_modules/.fairlead-lock
fi

make -s -C native || die 'the native parts did not build; see above'
