#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes what the lab's guests boot, and a static busybox: guest-kernel.sh DIRECTORY
# Called under a lock by guest.ts. The directory appears complete or not at all: vmlinuz, initrd, busybox.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
directory=$1
[ -d "$directory" ] && exit 0
part=$directory.part
rm -rf "$part"
mkdir -p "$part/debs" "$part/tree/bin" "$part/tree/modules"

image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
[ -n "$image" ] || { echo "apt knows no linux-image-cloud-amd64: run apt-get update" >&2; exit 1; }
(cd "$part/debs" && apt-get -qq -o APT::Sandbox::User=root download "$image" busybox-static)
for deb in "$part"/debs/*.deb; do
    dpkg-deb -x "$deb" "$part/debs"
done
cp "$part"/debs/boot/vmlinuz-* "$part/vmlinuz"
cp "$(find "$part/debs" -type f -path '*bin/busybox')" "$part/busybox"

cp "$part/busybox" "$part/tree/bin/busybox"
for module in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net virtio_console \
    button evdev pvpanic pvpanic-mmio pvpanic-pci; do
    find "$part/debs" -name "$module.ko" -exec cp {} "$part/tree/modules/" \;
done
install -m 755 "$here/guest-init.sh" "$part/tree/init"
(cd "$part/tree" && find . | cpio --quiet -o -H newc) > "$part/initrd"
rm -rf "$part/debs" "$part/tree"
chmod 644 "$part/vmlinuz" "$part/initrd"
mv -T "$part" "$directory"
