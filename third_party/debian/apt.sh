#!/bin/sh
# apt.sh FOLDER [NAME=VERSION...]: configures apt in FOLDER, and downloads packages to FOLDER/debs.
#
# They come from the archive that archive.sh finds, and only from its main part, which keeps its
# packages. The security and updates archives replace theirs, which would break pins.
set -eu
root=$1
shift
export LC_ALL=C

mirror=$(/bin/sh "$(dirname "$0")/archive.sh" "$root")
if ! grep -q 'signed-by=' "$root/sources.list"; then
  echo "expected Debian's keys in ${SYSTEM_ROOT-}/usr/share/keyrings, got none; install the package" >&2
  echo "debian-archive-keyring" >&2
  exit 1
fi
export APT_CONFIG="$root/apt.conf"
if ! apt-get -q -o APT::Update::Error-Mode=any update >"$root/log" 2>&1; then
  cat "$root/log" >&2
  echo "expected Debian 12's main archive at $mirror, but apt cannot read it; check the address" >&2
  exit 1
fi
mkdir -p "$root/debs"
cd "$root/debs"
[ $# = 0 ] || apt-get -q download "$@"
