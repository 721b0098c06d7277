# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Stands behind a TAP device as a VPN's daemon does: frames go between it and a link, both of this network namespace. Their checksums may not
have been computed yet, which only the header before each of them tells (linux/virtio_net.h).
"""
import fcntl
import os
import select
import socket
import struct
import sys

device, link = sys.argv[1:]
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
SOL_PACKET, PACKET_VNET_HDR = 263, 15
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
wire.bind((link, 0))
wire.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
print("ready", flush=True)
while True:
    for ready in select.select([tap, wire], [], [])[0]:
        if ready is wire:
            frame, (_, _, kind, *_) = wire.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:
                os.write(tap, frame)
        else:
            wire.send(os.read(tap, 65536))
