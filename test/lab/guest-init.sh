#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
# The whole user space of a lab guest. From the kernel command line: lab.name=NAME lab.ethN=ADDRESS@GATEWAY[,ADDRESS@GATEWAY] or
# lab.ethN=dhcp. Where the definition has a channel for a guest agent, there is one that tells the addresses.
/bin/busybox mkdir -p /proc /sys /dev /sbin /usr/bin /usr/sbin /etc/acpi/PWRF /www/cgi-bin /tmp /var/log /var/run
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

# In several passes: the modules need one another.
for _ in 1 2 3 4; do
    for module in /modules/*.ko; do insmod "$module" 2> /dev/null && rm "$module"; done
done

# shellcheck disable=SC2016 # for the script
printf '#!/bin/sh\n[ "$1" = bound ] && ip address replace "$ip/$mask" dev "$interface"\n' > /etc/dhcp
chmod 755 /etc/dhcp

ip link set dev lo up
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
read -r line < /proc/cmdline
for word in $line; do
    case $word in
    lab.name=*) name=${word#*=} ;;
    lab.eth*)
        link=${word%%=*} link=${link#lab.}
        echo 0 > "/proc/sys/net/ipv6/conf/$link/accept_dad"
        ip link set dev "$link" up
        if [ "${word#*=}" = dhcp ]; then
            udhcpc -q -i "$link" -s /etc/dhcp > /dev/null &
            continue
        fi
        for pair in $(echo "${word#*=}" | tr , ' '); do
            address=${pair%@*} gateway=${pair#*@}
            case $address in *:*) family=-6 length=128 ;; *) family=-4 length=32 ;; esac
            ip $family address add "$address/$length" dev "$link"
            ip $family route add "$gateway/$length" dev "$link"
            ip $family route add default via "$gateway" dev "$link"
        done
        ;;
    esac
done
hostname "$name"

# ACPI: the power button (virsh shutdown, and the first half of virsh reboot) turns the guest off.
printf '#!/bin/sh\npoweroff -f\n' > /etc/acpi/PWRF/00000080
chmod 755 /etc/acpi/PWRF/00000080
acpid

# Port 80 says the guest's name; a POST to /cgi-bin/sh runs a script, whose last line of output is its exit status.
echo "$name" > /www/index.html
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nsh 2>&1\necho "status $?"\n' > /www/cgi-bin/sh
chmod 755 /www/cgi-bin/sh
httpd -h /www

# What libvirt asks a guest agent before and for `virsh domifaddr` (qemu-ga's protocol), on the port that is its standard input and output.
addresses() { # addresses LINK
    ip -o address show dev "$1" | awk '{ sub("/", " "); printf "%s{\"ip-address\":\"%s\",\"ip-address-type\":\"%s\",\"prefix\":%s}",
        (NR > 1 ? "," : ""), $4, ($3 == "inet" ? "ipv4" : "ipv6"), $5 }'
}
agent() {
    while read -r question; do
        id=$(echo "$question" | sed -n 's/.*"id": *\([0-9]*\).*/\1/p')
        case $question in
        *guest-sync-delimited*) printf '\377{"return":%s}\n' "$id" ;;
        *guest-sync*) printf '{"return":%s}\n' "$id" ;;
        *guest-network-get-interfaces*)
            separator='{"return":['
            for link in /sys/class/net/*; do
                printf '%s{"name":"%s","hardware-address":"%s","ip-addresses":[%s]}' \
                    "$separator" "${link##*/}" "$(cat "$link/address")" "$(addresses "${link##*/}")"
                separator=,
            done
            echo ']}'
            ;;
        *) echo '{"error":{"class":"CommandNotFound","desc":"not known"}}' ;;
        esac
    done
}
for port in /dev/vport*; do
    # A port whose other end nobody holds reads as ended (virtio_console.c, port_fops_read).
    if [ -e "$port" ]; then (while :; do agent; sleep 1; done) <> "$port" >&0 & fi
done

echo "$name is up"
while :; do setsid cttyhack sh; sleep 1; done
