#!/bin/sh
# apt.sh FOLDER [NAME=VERSION...]: readies apt in FOLDER, and downloads packages to FOLDER/debs.
#
# They come from the archive that archive.sh finds; only its main part, since its
# packages stay for good; those of the security and updates archives are replaced,
# and a pin on one of them breaks.
set -eu
root=$1
shift
export LC_ALL=C

mirror=$(/bin/sh "$(dirname "$0")/archive.sh" "$root")
if ! grep -q 'signed-by=' "$root/sources.list"; then
  echo "Debian's keys were expected in ${SYSTEM_ROOT-}/usr/share/keyrings; install the package" >&2
  echo "debian-archive-keyring." >&2
  exit 1
fi
export APT_CONFIG="$root/apt.conf"
if ! apt-get -q -o APT::Update::Error-Mode=any update >"$root/log" 2>&1; then
  cat "$root/log" >&2
  echo "apt could not read Debian 12's main archive at $mirror; is the address right?" >&2
  exit 1
fi
mkdir -p "$root/debs"
cd "$root/debs"
[ $# = 0 ] || apt-get -q download "$@"
