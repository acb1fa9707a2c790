#!/bin/sh
# SPDX-License-Identifier: MIT
# A workload in a guest with the guest tools. "take" is the program that is run: it begins, takes
# 300 MiB, keeps them, frees them. "all" runs it with a hint, and then three times as load.service; then
# the agent falls silent.
say() { echo "LOAD $1: $(free -k | awk '/^Mem/ { print $2 " KiB, " $4 " free" }')"; }

case $1 in
take)
	say "starts"
	sleep 4
	tern-agent status | sed -nE 's/^(forecast|profile|granted) /LOAD sees: &/p'
	dd if=/dev/zero of="/dev/shm/load.$$" bs=1M count=300 2> /dev/null
	say "taken"
	sleep 20
	rm "/dev/shm/load.$$"
	say "freed"
	;;
all)
	tern-hint --need 300MiB --for 1m -- "$0" take
	sleep 20
	say "rests 0"
	for i in 1 2 3; do
		systemctl start load
		sleep 20
		say "rests $i"
	done
	systemctl stop tern-agent
	sleep 35
	say "silent"
	;;
esac
