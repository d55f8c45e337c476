#!/bin/sh
# archive.sh FOLDER: prints the address of an archive of Debian 12, and configures apt in FOLDER for it.
#
# The address is DEBIAN_MIRROR if it is set. Otherwise it is one that the machine's apt knows: an
# archive of bookworm or, if there is none, of any Debian release, since one archive has all of them.
# An address is used only after apt has confirmed that it is Debian's and has bookworm, since other
# vendors have a bookworm, too.
#
# With FOLDER/apt.conf, apt uses only Debian 12's main archive. It has the host's settings to reach an
# archive (proxies, certificates, passwords), but not its sources, pins or installed packages.
set -eu
root=$1
export LC_ALL=C
tab=$(printf '\t')

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "expected apt-get and dpkg-deb, which fetch the interpreter and the C++ library from Debian" >&2
  echo "packages, got none; build on Debian or Ubuntu" >&2
  exit 1
fi

# bazelw looks for the address before Debian's keys are installed; apt.sh requires the keys.
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

# has_bookworm ADDRESS: whether it is Debian's and has bookworm; if not, sets $why.
has_bookworm() {
  echo "deb [$signed] $1 bookworm main" >"$root/sources.list"
  rm -f "$root"/state/lists/*Release
  # Only the Release file, since the list of packages is not needed yet.
  if ! APT_CONFIG="$root/apt.conf" apt-get -q -o APT::Update::Error-Mode=any \
    -o Acquire::IndexTargets::deb::Packages::DefaultEnabled=false update >"$root/log" 2>&1; then
    why=$(sed -n 's/^E: //p' "$root/log" | head -n 1)
    return 1
  fi
  origin=$(sed -n 's/^Origin: //p' "$root"/state/lists/*Release | head -n 1)
  label=$(sed -n 's/^Label: //p' "$root"/state/lists/*Release | head -n 1)
  why="that is not an archive of Debian's releases (Origin: $origin, Label: $label)"
  [ "$origin $label" = "Debian Debian" ]
}

if [ -n "${DEBIAN_MIRROR-}" ]; then
  addresses=$DEBIAN_MIRROR
else
  # Before the machine's first `apt-get update`, the origins are unknown, and all addresses are tried.
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
  # An address may contain a password.
  shown=$(echo "$address" | sed 's#//[^/@]*@#//#')
  tried="$tried
  tried $shown: $why"
done
{
  if [ -n "${DEBIAN_MIRROR-}" ]; then
    echo "expected DEBIAN_MIRROR to be the address of an archive of Debian 12 (bookworm, main):$tried"
  else
    echo "expected an archive of Debian 12 (bookworm, main), from which the interpreter and the C++" \
      "library come; this machine's apt knows no archive of it.$tried"
  fi
  echo "Give the address of one: the folder with dists/ and pool/, which every mirror of Debian has." \
    "For one command:"
  echo "  DEBIAN_MIRROR=http://HOST/debian ./bazelw ..."
  echo "For all commands:"
  echo "  echo 'build --repo_env=DEBIAN_MIRROR=http://HOST/debian' >>user.bazelrc"
} >&2
exit 1
