#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the tree of a Debian host: tree.sh RELEASE DIRECTORY PACKAGE…
# Called under a lock by trees.ts. The directory appears complete or not at all.
set -eu
release=$1 directory=$2
shift 2
[ -d "$directory" ] && exit 0

rm -rf --one-file-system "$directory.part"
# shellcheck disable=SC2016 # mmdebstrap runs the hooks; $1 is the finished tree
mmdebstrap --quiet --variant=minbase --include="$(echo "$*" | tr ' ' ,)" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='chroot "$1" useradd --create-home --shell /bin/bash --groups sudo,libvirt admin' \
    --customize-hook='echo admin:kvm-tap-lab | chroot "$1" chpasswd' \
    --customize-hook='chroot "$1" systemctl -q mask console-getty.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer' \
    --customize-hook='chroot "$1" systemctl -q mask dpkg-db-backup.timer fstrim.timer logrotate.timer e2scrub_all.timer' \
    --customize-hook='echo SHUTDOWN_TIMEOUT=10 >> "$1/etc/default/libvirt-guests"' \
    --customize-hook='rm -f "$1/etc/resolv.conf" "$1/var/lib/dbus/machine-id"' \
    "$release" "$directory.part"
mv -T "$directory.part" "$directory"
