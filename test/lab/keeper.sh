#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Watches over one test host and removes all that is left of it in the end:
#   keeper.sh keep NAME   until standard input ends or SIGTERM comes. The test holds the other end of that pipe, so the
#                         host goes with the test, however the test ends. Says "ready" when the name is free.
#   keeper.sh stay NAME   until SIGTERM comes
#   keeper.sh ended NAME  between two boots of a host
#   keeper.sh sweep       removes hosts that have no keeper any more
# All that belongs to a host is found by its name, and its processes by their cgroup; nothing else is ever touched.
set -u
hosts=/var/tmp/kvm-tap-lab
locks=/run/kvm-tap-lab
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/kvm-tap-lab

kill_processes() {
    [ -e "$cgroups/$1/cgroup.kill" ] || return 0
    echo 1 > "$cgroups/$1/cgroup.kill"
    for _ in $(seq 100); do
        grep -q '^populated 0' "$cgroups/$1/cgroup.events" && return 0
        sleep 0.05
    done
    echo "lab: processes of $1 do not end" >&2
}

# What systemd-nspawn and the kernel keep of a host that has ended, and that the next boot must not find: in cgroups that were
# killed the kernel goes on killing what systemd starts, and nspawn (of Debian 13) refuses a name whose mount point exists.
forget_boot() {
    find /sys/fs/cgroup -depth -type d \( -path "*/kvm-tap-lab/$1/host" -o -path "*/kvm-tap-lab/$1/host/*" \) -exec rmdir {} \; 2>/dev/null
    for place in propagate unix-export; do
        umount "/run/systemd/nspawn/$place/$1" 2>/dev/null
        rmdir "/run/systemd/nspawn/$place/$1" 2>/dev/null
    done
}

remove() {
    kill_processes "$1"
    forget_boot "$1"
    find /sys/fs/cgroup -depth -type d \( -path "*/kvm-tap-lab/$1" -o -path "*/kvm-tap-lab/$1/*" \) -exec rmdir {} \; 2>/dev/null
    for namespace in "kvm-tap-lab.$1" "kvm-tap-lab.$1.internet"; do
        [ ! -e "/run/netns/$namespace" ] || ip netns delete "$namespace"
    done
    if mountpoint -q "$hosts/$1/root"; then
        umount "$hosts/$1/root" || umount --lazy "$hosts/$1/root"
    fi
    rm -rf --one-file-system "${hosts:?}/$1"
}

# Removes the hosts that nobody keeps.
sweep() {
    for directory in "$hosts"/*/; do
        [ -d "$directory" ] || continue
        name=$(basename "$directory")
        (flock -n 9 && remove "$name"; true) 9> "$locks/$name.lock"
    done
}

mkdir -p "$hosts" "$locks"
case $1 in
sweep) sweep ;;
ended) forget_boot "$2" ;;
keep | stay)
    exec 3<&0 9> "$locks/$2.lock"
    flock -w 3 9 || { echo taken; exit 1; }
    remove "$2"
    mkdir -p "$hosts/$2" "$cgroups/$2"
    echo $$ > "$hosts/$2/keeper"
    trap : TERM INT HUP
    if [ "$1" = keep ]; then cat <&3 > /dev/null & else sleep infinity & fi
    waits=$!
    echo ready
    wait $waits
    kill $waits 2>/dev/null
    remove "$2"
    ;;
esac
