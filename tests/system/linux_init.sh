#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# What Linux guests of the tests run: loads the virtio modules, says what it sees, and does what
# "tern=WORD[,WORD...]" on the kernel's command line names. Every answer is a line "GUEST what: ...".
/bin/busybox mkdir -p /bin /sbin /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
while read -r m; do
	insmod "/mod/$m.ko" || echo "GUEST module $m: failed"
done < /mod/order

value() { # of a word KEY=VALUE of the kernel's command line
	for w in $(cat /proc/cmdline); do
		case $w in "$1"=*) echo "${w#*=}" ;; esac
	done
}

say() { echo "GUEST $*"; }

mem_kib() { awk -v k="$1:" '$1 == k { print $2 }' /proc/meminfo; }

t_facts() {
	say "cpus: $(nproc)"
	say "memory: $(mem_kib MemTotal) KiB, free -m: $(free -m | awk '/^Mem/ { print $2 }')"
	say "clock: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	say "devices: $(ls /sys/bus/virtio/devices | wc -l) virtio"
	say "bad: $(dmesg | grep -cE 'BUG:|Oops|lockup|unstable|Call Trace|Firmware Bug')"
}

t_disk() { # a disk of words; the first 1 MiB is 'image', the rest zero
	say "disk: $(cat /sys/block/vda/size) sectors"
	dd if=/dev/vda bs=64k 2>/dev/null | md5sum | sed 's/^/GUEST disk-sum: /;s/ *-$//'
	dd if=/dev/urandom of=/tmp/random bs=64k count=64 2>/dev/null
	dd if=/tmp/random of=/dev/vda bs=64k seek=8 conv=fsync 2>/dev/null
	echo 3 > /proc/sys/vm/drop_caches
	dd if=/dev/vda bs=64k skip=8 count=64 2>/dev/null | cmp - /tmp/random && say "disk-write: same"
}

t_root() { # a real root file system on /dev/vda
	mount -t ext4 /dev/vda /mnt && exec switch_root /mnt /sbin/init
	say "root: failed"
}

t_mem() { # takes and frees 200 MiB
	say "mem: idle"
	sleep "$(value settle)"
	say "mem: settled"
	dd if=/dev/urandom of=/tmp/seed bs=1M count=1 2>/dev/null
	for i in $(seq 200); do cat /tmp/seed; done > /tmp/big
	say "mem: written"
	sleep 1
	rm /tmp/big
	say "mem: freed"
	sleep "$(value settle)"
	say "mem: settled again"
}

t_stress() { # many processes, which must all do the same
	ok=0
	for i in $(seq 20); do
		md5sum < /bin/busybox > /tmp/sum.$((i % 2))
		[ "$i" -gt 1 ] && cmp -s /tmp/sum.0 /tmp/sum.1 && ok=$((ok + 1))
		[ "$(echo "$i" | sed 's/^/x/' | tr x y | cut -c1)" = y ] && ok=$((ok + 1))
	done
	say "stress: $ok of 39"
	say "crashed: $(dmesg | grep -c segfault)"
}

t_net() { # pings all of "peers", and sends the first so many MiB by TCP while it receives as many
	ip link set lo up
	ip link set eth0 up
	ip addr add "$(value addr)/24" dev eth0
	peers=$(value peers | tr ',' ' ')
	mib=$(value mib)
	dd if=/dev/zero bs=1M count="$mib" 2>/dev/null | md5sum > /tmp/want
	# An nc ends when the other one has no more to say: this one must not say so first.
	mkfifo /tmp/silence
	exec 3<> /tmp/silence
	nc -l -p 7000 <&3 | md5sum > /tmp/got &
	for p in $peers; do
		until ping -c 1 -W 2 "$p" > /dev/null; do :; done
		ping -c 10 -W 10 "$p" | awk -v p="$p" '/transmitted/ { print "GUEST net: ping " p ": " $1 " sent, " $4 " back" }'
	done
	sleep 30 # others ping still
	until dd if=/dev/zero bs=64k count="$((mib * 16))" 2>/dev/null | nc "${peers%% *}" 7000; do sleep 1; done
	wait
	cmp -s /tmp/got /tmp/want && say "net: $mib MiB came, the same"
	say "net: $(awk '$1 == "eth0:" { print "errors " $4 + $12 " dropped " $5 + $13 }' /proc/net/dev)"
}

uptime() { cut -d' ' -f1 /proc/uptime; }

t_clock() { # 10 minutes, and somebody who works by fits and starts
	while :; do
		md5sum < /bin/busybox > /dev/null
		sleep 1
	done &
	for i in $(seq 121); do
		say "clock: $(uptime)"
		sleep 5
	done
	kill $!
}

t_watch() { # for 30 s, its clocks
	for i in $(seq 30); do
		say "watch: $(uptime) $(date +%s)"
		sleep 1
	done
}

t_tick() { # each 10 s
	for i in $(seq 60); do
		say "tick: $i"
		sleep 10
	done
}

t_uplink() { # gets an address, pings who gave it, fetches a file from there
	cat > /tmp/lease.sh <<-'END'
	#!/bin/sh
	[ "$1" = bound ] && ip addr add "$ip/$mask" dev "$interface" && echo "GUEST uplink: lease $ip from $serverid"
	exit 0
	END
	chmod +x /tmp/lease.sh
	ip link set lo up
	ip link set eth0 up
	udhcpc -i eth0 -s /tmp/lease.sh -n -q -t 10 -T 5 -f 2>/dev/null || say "uplink: no lease"
	peer=$(value peer)
	ping -c 5 -W 10 "$peer" | awk '/transmitted/ { print "GUEST uplink: ping " $1 " " $4 }'
	wget -q -O - "http://$peer/file" | md5sum | sed 's/^/GUEST uplink: sum /;s/ *-$//'
}

for t in $(value tern | tr ',' ' '); do
	"t_$t"
done
say "done"
exec setsid cttyhack sh
