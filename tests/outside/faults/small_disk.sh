#!/usr/bin/env bash
# A server whose journal is on a disk of 1 MiB. Runs under `unshare --map-root-user --mount`; takes
# commands on standard input and answers each with a line.
#   small_disk.sh PROGRAM DIRECTORY
set -euo pipefail
program=$1
cd "$2"
PATH=$PATH:/usr/sbin:/sbin
mkdir disk
mount -t tmpfs -o size=1m tmpfs disk
"$program" Clark --herd herd.json --log disk/Clark.log < /dev/null > Clark.out 2> Clark.err &
server=$!
trap 'kill -CONT $server; kill $server 2> /dev/null' EXIT
echo ready
while read -r command rest; do
  case $command in
    fill) cat /dev/zero > disk/ballast 2> /dev/null || true ;;
    # The journal is open for appending: emptied, it goes on from its beginning.
    free) rm -f disk/ballast && : > disk/Clark.log ;;
    # Shown and then emptied, while the server stands still: what it wrote in between would be lost. A
    # thread that is in the middle of a write finishes that before it stops.
    show)
      kill -STOP $server
      while grep --silent --invert-match ') T ' /proc/$server/task/*/stat; do :; done
      grep --text --invert-match wwww disk/Clark.log | tr '\n' '|' || true
      : > disk/Clark.log
      kill -CONT $server
      ;;
  esac
  echo " done"
done
