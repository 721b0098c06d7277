#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Fetches Debian packages, with those they need, that a tree does not have: debs.sh TREE DIRECTORY PACKAGE…
# Called under a lock by debs.ts. The directory appears complete or not at all.
set -eu
tree=$1 directory=$2
shift 2
[ -d "$directory" ] && exit 0

part=$directory.part
rm -rf "$part"
mkdir -p "$part/lists/partial" "$part/archives/partial"
fetch() {
    apt-get -qq -o Dir::Etc::SourceList="$tree/etc/apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::TrustedParts="$tree/etc/apt/trusted.gpg.d" \
        -o Dir::State::Status="$tree/var/lib/dpkg/status" -o Dir::State::Lists="$part/lists" -o Dir::Cache::Archives="$part/archives" \
        -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none "$@"
}
fetch update
fetch install --no-install-recommends --download-only --yes "$@"
rm -rf "$part/lists" "$part/archives/partial" "$part/archives/lock"
mv -T "$part/archives" "$directory"
rm -rf "$part"
