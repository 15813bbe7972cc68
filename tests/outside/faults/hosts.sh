#!/usr/bin/env bash
# Two hosts, made of network namespaces and a cable between them, with a server on each. Runs under
# `unshare --map-root-user --net`; takes commands on standard input and answers each with a line.
#   hosts.sh PROGRAM DIRECTORY
set -euo pipefail
program=$1
cd "$2"
PATH=$PATH:/usr/sbin:/sbin

sleep infinity < /dev/null > /dev/null &
unshare --net sleep infinity < /dev/null > /dev/null &
other=$!
trap 'kill $(jobs -p) 2> /dev/null' EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
there() { nsenter --target "$other" --net "$@"; }

ip link set lo up
ip link add near type veth peer name far netns "$other"
ip address add 10.77.0.1/24 dev near
ip link set near up
there ip link set lo up
there ip address add 10.77.0.2/24 dev far
there ip link set far up
nft add table inet fault
nft 'add chain inet fault from { type filter hook input priority 0; }'

options=(--herd herd.json --plain-peers)
"$program" Ada "${options[@]}" < /dev/null > Ada.out 2> Ada.err &
there "$program" Bob "${options[@]}" < /dev/null > Bob.out 2> Bob.err &

echo ready
while read -r command rest; do
  case $command in
    # Packets from the other host vanish; ours still leave. No end is ever told of it.
    drop) nft add rule inet fault from iifname near drop ;;
    heal) nft flush chain inet fault from ;;
    say)
      exec 3<> /dev/tcp/10.77.0.1/7000
      printf '%s\n' "$rest" >&3
      read -r answer <&3
      exec 3>&-
      echo "$answer"
      continue
      ;;
  esac
  echo done
done
