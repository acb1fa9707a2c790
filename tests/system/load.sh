#!/bin/sh
# SPDX-License-Identifier: MIT
# A workload in a guest with the guest tools: load.sh TIMES takes 300 MiB, keeps them, frees them;
# load.sh take keeps them once, as a program that a hint was given for.
take() {
	dd if=/dev/zero of="/dev/shm/load.$$" bs=1M count=300 2> /dev/null
	echo "LOAD taken: $(free -k | awk '/^Mem/ { print $2 " " $4 }')"
	sleep 20
	rm "/dev/shm/load.$$"
}

told() { echo "LOAD $1: $(free -k | awk '/^Mem/ { print $2 " " $4 }')"; }

if [ "$1" = take ]; then
	take
	exit
fi
told begins
for i in $(seq "$1"); do
	take
	told freed
	sleep 20
	told "rests $i"
done
