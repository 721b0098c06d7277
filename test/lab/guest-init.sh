#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
# The whole user space of a lab guest. From the kernel command line: lab.name=NAME lab.ethN=ADDRESS@GATEWAY[,ADDRESS@GATEWAY]
/bin/busybox mkdir -p /proc /sys /dev /sbin /usr/bin /usr/sbin /etc/acpi/PWRF /www/cgi-bin /tmp /var/log /var/run
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

# In several passes: the modules need one another.
for _ in 1 2 3 4; do
    for module in /modules/*.ko; do insmod "$module" 2> /dev/null && rm "$module"; done
done

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

echo "$name is up"
while :; do setsid cttyhack sh; sleep 1; done
