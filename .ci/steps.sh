# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Steps that are counted; to be sourced.

STEPS_PASSED=0
STEPS_FAILED=0
STEPS_TABLE=''

# step NAME COMMAND…
step() {
  local name=$1 begin=$SECONDS status=0 word=passed
  shift
  printf '\n═══ %s\n' "$name"
  ("$@") || status=$?
  if [ "$status" -eq 0 ]; then
    STEPS_PASSED=$((STEPS_PASSED + 1))
  else
    STEPS_FAILED=$((STEPS_FAILED + 1))
    word="FAILED, exit status $status"
  fi
  STEPS_TABLE+=$(printf '%-32s %5d s  %s' "$name" $((SECONDS - begin)) "$word")
  STEPS_TABLE+=$'\n'
}

# repeat TIMES COMMAND…: until one fails.
repeat() {
  local left=$1
  shift
  while [ "$left" -gt 0 ]; do
    "$@" || return
    left=$((left - 1))
  done
}

# The table, then the line that counts; the exit status.
summary() {
  printf '\n%s%d passed, %d failed\n' "$STEPS_TABLE" "$STEPS_PASSED" \
    "$STEPS_FAILED"
  [ "$STEPS_FAILED" -eq 0 ]
}
