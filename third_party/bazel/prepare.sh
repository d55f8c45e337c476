#!/bin/sh
# prepare.sh ARGUMENTS...: checks that Bazel can start with these arguments; bazelw runs it in the
# workspace's root. On a new machine, it first prints what will be downloaded, and checks that
# everything is available; then it installs Bazel.
set -eu
export LC_ALL=C
system=${SYSTEM_ROOT-} # The folder of etc and usr/share; tests set it.

fail() {
  printf 'bazelw: %s\n' "$*" >&2
  exit 1
}

case $PWD in (*[!!-~]*)
  fail "expected a folder whose path has neither spaces nor letters beyond ASCII, which Bazel cannot" \
    "read, got $PWD; move the folder" ;;
esac
owner=$(stat -c %U .)
if [ "$(id -u)" = 0 ] && [ "$(stat -c %u .)" != 0 ]; then
  fail "expected the user $owner, who owns $PWD, got root, whose files $owner could not replace;" \
    "run it without sudo (it calls sudo itself to install Bazel); in a container, make root the owner"
fi
if [ -d .bazel ] && [ ! -w .bazel ]; then
  fail "expected $PWD/.bazel to be writable, but it belongs to $(stat -c %U .bazel); remove it:" \
    "sudo rm -r $PWD/.bazel $PWD/bazel-out"
fi

# Bazel's folders and the archive's address, from the arguments, the settings and the environment.
cache=
mirror=${DEBIAN_MIRROR-}
root=$(getent passwd "$(id -u)" | cut -d : -f 6)/.cache/bazel/_bazel_${USER:-$(id -un)}
set -f
for option in $(cat user.bazelrc "${HOME-}/.bazelrc" 2>/dev/null | sed 's/#.*//') "$@"; do
  case $option in
    (--output_user_root=*) root=${option#*=} ;;
    (--repository_cache=*) cache=${option#*=} ;;
    (--repo_env=DEBIAN_MIRROR=*) mirror=${option#*=*=} ;;
  esac
done
set +f
cache=${cache:-$root/cache/repos/v1}
case $root in (*[!!-~]* | *:*)
  fail "expected Bazel's files in a folder whose path has neither spaces, colons nor letters beyond" \
    "ASCII, got $root; put a line into ~/.bazelrc: startup --output_user_root=/FOLDER" ;;
esac
command=
for argument; do
  case $argument in (-*) ;; (*) command=$argument; break ;; esac
done

# Check the user's paths here, in one sentence: Bazel would print the error three times, as tracebacks.
case $command in (build | test)
  for variable in CHECKPOINT IMAGES; do
    eval "given=\${$variable-}"
    path=$given
    case $path in ("") continue ;; ("~") path=$HOME ;; ("~/"*) path=$HOME/${path#"~/"} ;; esac
    case $path in (/*) ;; (*) path=$BAZELW_USER_DIRECTORY/$path ;; esac
    [ ! -d "$path" ] || continue
    if [ $variable = IMAGES ]; then
      fail "IMAGES=$given: expected a folder of JPEG, PNG or TFRecord files, got no such folder;" \
        "correct the path"
    fi
    prefix=$(printf '%s' "$path" | sed 's/\.index$//; s/\.meta$//; s/\.data-[0-9]*-of-[0-9]*$//')
    [ -f "$prefix.index" ] || [ -f "$prefix" ] ||
      fail "CHECKPOINT=$given: expected a checkpoint (its prefix, the name of its files without" \
        ".index), or a folder of checkpoints, got neither; correct the path"
  done ;;
esac

bazel=$(command -v bazel-4 || command -v bazelisk || true)
largest=$(sed -n 's/^tensorflow-cpu==.*sha256://p' third_party/pip/requirements.lock)
case $command in (build | coverage | fetch | run | test) builds=1 ;; (*) builds= ;; esac
if [ -n "$bazel" ]; then
  [ "$builds" ] || exit 0
  # Exit if this folder was built before, or the files were downloaded for another folder.
  [ ! -e .bazel/out ] && [ ! -e "$cache/content_addressable/sha256/$largest/file" ] || exit 0
fi

supported="Supported are Debian 12, Debian 13 and Ubuntu 24.04, on x86-64"
supported="$supported; elsewhere, build in a container of one of them."
name=$(. "$system/etc/os-release" 2>/dev/null && echo "$PRETTY_NAME") || name="an unknown system"
[ "$(uname -sm)" = "Linux x86_64" ] ||
  fail "expected Linux on x86-64, got $(uname -sm). $supported"
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc="another C library"
case $libc in
  ("glibc 2."[0-9] | "glibc 2."[0-2][0-9] | "glibc 2.3"[0-5] | another*)
    fail "expected glibc 2.36 or newer, which the interpreter needs, got $libc ($name). $supported" ;;
esac
command -v apt-get >/dev/null ||
  fail "expected apt-get, which fetches Bazel and the interpreter, got $name without. $supported"

# check_bazel perhaps|surely: fails if apt has only another Bazel. Before its first update, apt knows
# no packages, which `perhaps` accepts.
check_bazel() {
  candidate=$(apt-cache policy bazel-bootstrap | sed -n 's/^  Candidate: //p')
  case $candidate in
    (4.*) ;;
    ("" | "(none)")
      [ "$1" = perhaps ] || fail "expected Bazel 4 from apt, got no bazel-bootstrap ($name). $supported" ;;
    (*) fail "expected Bazel 4 from apt, got bazel-bootstrap $candidate ($name). $supported" ;;
  esac
}
[ -n "$bazel" ] || check_bazel perhaps

cat >&2 <<'TEXT'
bazelw: the first build downloads 560 MB, and another 290 MB if Bazel and Java are not installed.
bazelw: it takes 4 GB of disk and, on two cores, three to eight minutes; later builds take seconds.
bazelw: root or sudo is needed to install Bazel (and Debian's keys) with apt, and for nothing else.
TEXT

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
DEBIAN_MIRROR=$mirror /bin/sh third_party/debian/archive.sh "$scratch" >/dev/null || exit 1

packages=
[ -n "$bazel" ] || packages="bazel-bootstrap ca-certificates"
[ -e "$system/usr/share/keyrings/debian-archive-keyring.gpg" ] ||
  [ -e "$system/usr/share/keyrings/debian-archive-keyring.pgp" ] ||
  packages="$packages debian-archive-keyring"
[ -n "$packages" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
  sudo=sudo
  command -v sudo >/dev/null ||
    fail "expected root or sudo, to install $packages; let root run: apt-get install $packages"
fi
log=$(mktemp -t bazelw-apt.XXXXXX)
apt() {
  # A new machine may be running its own updates: wait for the lock.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 "$@" \
    </dev/null >>"$log" 2>&1 && return
  tail -n 5 "$log" >&2
  fail "apt-get $* failed; all that it printed is in $log"
}
echo "bazelw: installing $packages; what apt-get prints goes to $log" >&2
apt update
[ -n "$bazel" ] || check_bazel surely
apt -y --no-install-recommends install $packages
