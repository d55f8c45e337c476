#!/bin/sh
# apt.sh FOLDER [NAME=VERSION...]: readies apt in FOLDER, and downloads packages to FOLDER/debs.
#
# FOLDER/apt.conf makes apt know Debian 12's main archive and nothing else: of the
# host's apt it takes how to reach an archive (proxies, certificates, passwords),
# but no sources, pins or installed packages. Only the main archive, since its
# packages stay for good; those of the security and updates archives are replaced,
# and a pin on one of them breaks.
set -eu
root=$1
shift
export LC_ALL=C
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "The interpreter and the C++ library are unpacked from Debian packages, for which apt-get" >&2
  echo "and dpkg-deb are needed; they were not found. Build on Debian, Ubuntu or kin." >&2
  exit 1
fi
if [ ! -e "$keyring" ]; then
  echo "Debian's keys were expected at $keyring; install the package debian-archive-keyring." >&2
  exit 1
fi

mirror=${DEBIAN_MIRROR-}
if [ -z "$mirror" ]; then
  mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' \
    'Created-By: Packages' | sed -n 's/^bookworm main //p' | head -n 1)
fi
if [ -z "$mirror" ]; then
  echo "This machine's apt knows no archive of Debian 12 (bookworm, main). Give the address of" >&2
  echo "one, the folder that holds dists/ and pool/: ./bazelw ... --repo_env=DEBIAN_MIRROR=ADDRESS" >&2
  echo "(or for good: build --repo_env=DEBIAN_MIRROR=ADDRESS, in the file user.bazelrc)." >&2
  exit 1
fi

mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial" "$root/debs"
echo "deb [signed-by=$keyring] $mirror bookworm main" >"$root/sources.list"
{
  apt-config dump Acquire
  cat <<CONF
Dir "$root/";
Dir::State "$root/state";
Dir::State::status "/dev/null";
Dir::Cache "$root/cache";
Dir::Etc "$root/";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::Etc::sourcelist "$root/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::parts "/dev/null";
APT::Architecture "amd64";
APT::Architectures {"amd64";};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
} >"$root/apt.conf"
export APT_CONFIG="$root/apt.conf"

if ! apt-get -q -o APT::Update::Error-Mode=any update >"$root/log" 2>&1; then
  cat "$root/log" >&2
  echo "apt could not read Debian 12's main archive at $mirror; is the address right?" >&2
  exit 1
fi
cd "$root/debs"
[ $# = 0 ] || apt-get -q download "$@"
