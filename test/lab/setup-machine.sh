#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what this machine lacks, with apt-get: setup-machine.sh [checks] [packages]
# Quick when nothing is missing. The machine's own services, network and firewall are left as they are.
set -eu
packages="python3 git ca-certificates mmdebstrap debian-archive-keyring systemd-container iproute2 cpio util-linux procps"
for group; do
    case $group in
    checks)
        packages="$packages chromium fonts-noto-core shellcheck mypy nftables curl"
        command -v busybox > /dev/null || packages="$packages busybox"
        ;;
    packages) packages="$packages build-essential dpkg-dev debhelper dh-python lintian rpm rpmlint appstream xz-utils" ;;
    esac
done
node --version > /dev/null 2>&1 || packages="$packages nodejs npm"

missing=
for package in $packages; do
    [ "$(dpkg-query -f '${db:Status-Status}' -W "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || { echo "As root: apt-get install$missing" >&2; exit 1; }
    echo "lab: installing$missing"
    apt-get -qq update
    # No service of a new package is to be started on this machine.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    # shellcheck disable=SC2086 # a list
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing > /dev/null
fi
# The guests' kernel is fetched with apt: it must know of packages.
[ -n "$(apt-cache depends linux-image-cloud-amd64 2>/dev/null)" ] || apt-get -qq update

node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
    { echo "Node.js 20 or newer is needed; this is $(node --version)" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "Test hosts are booted by systemd-nspawn: run this as root." >&2; exit 1; }
# Hosts use this machine's kernel and cannot load modules themselves.
modprobe --quiet --all tun overlay veth bridge nf_tables 2>/dev/null || true
[ -e /dev/net/tun ] || { echo "This machine has no /dev/net/tun: the kernel module tun is missing." >&2; exit 1; }
