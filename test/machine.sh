# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Getting this machine ready, for daemonset/demo, test/run and .ci: being root,
# the packages, the build. To be sourced; NODEWARD_ROOT is the repository.

NODEWARD_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# be_root "$0" "$@": goes on as root, through sudo if need be.
be_root() {
  [ "$(id -u)" -eq 0 ] && return
  command -v sudo > /dev/null ||
    die "must run as root, and there is no sudo: run it as root"
  echo "not root: starting again through sudo" >&2
  exec sudo -- "$@"
}

missing_packages() {
  local lane package only
  while read -r lane package only; do
    [ -z "$only" ] || [ "$only" = "$(dpkg --print-architecture)" ] || continue
    case " $* " in *" $lane "*) ;; *) continue ;; esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" \
      = installed ] || echo "$package"
  done < <(grep -v '^#' "$NODEWARD_ROOT/test/packages")
}

# install_packages LANE…: what is missing of test/packages, nothing else. The
# servers among them are not started: a policy-rc.d stands while apt works.
install_packages() {
  local missing policy=/usr/sbin/policy-rc.d made=
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get > /dev/null ||
    die "no apt-get; install what $NODEWARD_ROOT/test/packages names: ${missing[*]}"
  echo "installing ${#missing[@]} packages: ${missing[*]}"
  if [ ! -e "$policy" ]; then
    made=$policy
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 -q)
  local status=0
  if ! "${apt[@]}" "${missing[@]}"; then
    apt-get update -q && "${apt[@]}" "${missing[@]}" || status=$?
  fi
  [ -z "$made" ] || rm -f "$made"
  [ "$status" -eq 0 ] ||
    die "apt-get install failed; is a Debian 12 mirror reachable?"
}

# As many compilers as there are CPUs and gigabytes of memory.
build_jobs() {
  local cpus gigabytes
  cpus=$(nproc)
  gigabytes=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  [ "$gigabytes" -ge 1 ] || gigabytes=1
  echo $((cpus < gigabytes ? cpus : gigabytes))
}

# configure DIR CMAKE-ARGUMENT…: quiet unless it fails. CC and CXX count when
# DIR is configured for the first time.
configure() {
  local dir=$1 log
  shift
  mkdir -p "$dir"
  log=$dir/configure.log
  CC=${CC:-gcc} CXX=${CXX:-g++} cmake -S "$NODEWARD_ROOT" -B "$dir" -G Ninja "$@" > "$log" 2>&1 && return
  cat "$log" >&2
  die "cmake failed; if $dir is of another checkout, remove it"
}

# build DIR NINJA-ARGUMENT…; BUILD_PREFIX: words to run ninja under.
build() {
  local dir=$1
  shift
  # shellcheck disable=SC2086
  NINJA_STATUS='[%f/%t %es] ' ${BUILD_PREFIX:-} ninja -C "$dir" -j "$(build_jobs)" "$@"
}
