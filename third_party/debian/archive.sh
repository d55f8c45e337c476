#!/bin/sh
# archive.sh FOLDER: prints the address of an archive of Debian 12, and readies apt in FOLDER for it.
#
# That is DEBIAN_MIRROR where it is set. Otherwise it is what the machine's apt knows: an archive of
# bookworm, else one of any Debian release, since one archive holds all of them. An address counts
# once apt has read from it that it is Debian's and has bookworm: others have a bookworm, too.
#
# FOLDER/apt.conf makes apt know Debian 12's main archive and nothing else: of the
# host's apt it takes how to reach an archive (proxies, certificates, passwords),
# but no sources, pins or installed packages.
set -eu
root=$1
export LC_ALL=C
tab=$(printf '\t')

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "The interpreter and the C++ library are unpacked from Debian packages, for which apt-get" >&2
  echo "and dpkg-deb are needed; they were not found. Build on Debian, Ubuntu or kin." >&2
  exit 1
fi

# Before Debian's keys are installed, bazelw asks which address will do; apt.sh insists on them.
signed=trusted=yes
for keyring in "${SYSTEM_ROOT-}"/usr/share/keyrings/debian-archive-keyring.gpg \
  "${SYSTEM_ROOT-}"/usr/share/keyrings/debian-archive-keyring.pgp; do
  [ ! -e "$keyring" ] || signed=signed-by=$keyring
done

mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
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

# has_bookworm ADDRESS: whether it is Debian's and has bookworm; if not, $why says what came.
has_bookworm() {
  echo "deb [$signed] $1 bookworm main" >"$root/sources.list"
  rm -f "$root"/state/lists/*Release
  # The Release file alone: the list of packages is not needed yet.
  if ! APT_CONFIG="$root/apt.conf" apt-get -q -o APT::Update::Error-Mode=any \
    -o Acquire::IndexTargets::deb::Packages::DefaultEnabled=false update >"$root/log" 2>&1; then
    why=$(sed -n 's/^E: //p' "$root/log" | head -n 1)
    return 1
  fi
  origin=$(sed -n 's/^Origin: //p' "$root"/state/lists/*Release | head -n 1)
  label=$(sed -n 's/^Label: //p' "$root"/state/lists/*Release | head -n 1)
  why="that is no archive of Debian's releases (Origin: $origin, Label: $label)"
  [ "$origin $label" = "Debian Debian" ]
}

if [ -n "${DEBIAN_MIRROR-}" ]; then
  addresses=$DEBIAN_MIRROR
else
  # Where the machine's apt has no lists yet, it does not know the origin, and all are tried.
  known=$(apt-get indextargets \
    --format "\$(COMPONENT)$tab\$(ORIGIN)$tab\$(REPO_URI)$tab\$(RELEASE) \$(CODENAME) " \
    'Created-By: Packages' | grep -E "^main$tab(Debian)?$tab" | cut -f 3,4 | grep -v '^cdrom:') ||
    known=
  addresses=$({
    echo "$known" | grep -E "$tab(.* )?bookworm " || true
    echo "$known"
  } | cut -f 1 | awk 'NF && !seen[$0]++')
fi

tried=
IFS='
'
for address in $addresses; do
  if has_bookworm "$address"; then
    echo "$address"
    exit 0
  fi
  # An address may hold a password.
  shown=$(echo "$address" | sed 's#//[^/@]*@#//#')
  tried="$tried
  tried $shown: $why"
done
{
  if [ -n "${DEBIAN_MIRROR-}" ]; then
    echo "Expected DEBIAN_MIRROR to be the address of an archive of Debian 12 (bookworm, main):$tried"
  else
    echo "The interpreter and the C++ library come from packages of Debian 12 (bookworm, main), of" \
      "which this machine's apt knows no archive.$tried"
  fi
  echo "Give the address of one, the folder that holds dists/ and pool/ (every mirror of Debian has" \
    "it), for one command:"
  echo "  DEBIAN_MIRROR=http://HOST/debian ./bazelw ..."
  echo "or for good:"
  echo "  echo 'build --repo_env=DEBIAN_MIRROR=http://HOST/debian' >>user.bazelrc"
} >&2
exit 1
