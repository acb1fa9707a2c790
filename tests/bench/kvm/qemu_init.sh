#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# Init of the peer that has QEMU (tests/bench/qemu_peer.py): loads KVM and runs /command until its guest
# says the line that /until holds. Then come the exits of that guest by reason, as KVM's own tracepoint saw
# them: first all, then those of the guest's kernel and programs, without the firmware's.
/bin/busybox mkdir -p /bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tracefs trace /sys/kernel/tracing
for m in irqbypass kvm kvm-intel; do
	insmod "/$m.ko" || echo "peer: $m: failed"
done

event=/sys/kernel/tracing/events/kvm/kvm_exit
# Firmware runs below 1 MiB and, where it has moved itself, at the top of 512 MiB.
guest='(guest_rip >= 0x100000 && guest_rip < 0x1f000000) || guest_rip >= 0x40000000'
echo 'hist:keys=exit_reason' > "$event/trigger" || echo "peer: no histogram"
echo "hist:keys=exit_reason if $guest" >> "$event/trigger" || echo "peer: no second histogram"

# What the guest says is shown when it has ended: the serial line's interrupts would be exits of it.
until=$(cat /until)
sleep 86400 | sh /command 2>&1 | { # nothing is typed, and nothing ends
	while read -r line; do
		echo "$line" >> /said
		case $line in *"$until"*) break ;; esac
	done
	cat "$event/hist" > /exits
	cat /said /exits
	echo "peer: done"
	sleep 60 # until the serial line is idle, and the rig has ended this machine
	poweroff -f
}
