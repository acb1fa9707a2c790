#!/bin/sh
# SPDX-License-Identifier: MIT
# Removes what install.sh installed, as listed in /var/lib/tern/install.manifest, and what the agent learned.
set -eu

state=/var/lib/tern
manifest=$state/install.manifest
keep=no

say() {
	echo "uninstall.sh: $*" >&2
}

case "${1-}" in
"") ;;
--keep-config) keep=yes ;;
*)
	echo "usage: uninstall.sh [--keep-config]"
	echo "  --keep-config  leave /etc/tern"
	[ "$1" = --help ] || [ "$1" = -h ] || exit 2
	exit 0
	;;
esac
[ "$(id -u)" = 0 ] || { say "only root can uninstall"; exit 1; }
[ -e $manifest ] || { say "there is no $manifest: install.sh has installed nothing"; exit 1; }

list=$(cat $manifest)
entries() {
	echo "$list" | sed -n "s/^$1 //p"
}

if [ -d /run/systemd/system ]; then
	systemctl disable --now tern-agent.service || say "tern-agent.service could not be stopped"
fi
if [ -d /sys/module/tern ]; then
	modprobe -r tern || say "the kernel module stays loaded until the next boot"
fi
entries file | while read -r path; do
	[ $keep = yes ] && [ "${path#/etc/tern/}" != "$path" ] && continue
	rm -f "$path"
done
rm -rf $state
# The deepest first; one in which others have put something by now stays.
entries dir | sort -r | while read -r path; do
	[ ! -d "$path" ] || rmdir "$path" 2>/dev/null || true
done
entries group | while read -r name; do
	if command -v groupdel >/dev/null; then
		groupdel "$name" || say "the group $name stays"
	else
		delgroup "$name" || say "the group $name stays"
	fi
done
entries file | sed -n 's|^/lib/modules/\([^/]*\)/.*|\1|p' | sort -u | while read -r kernel; do
	[ ! -d "/lib/modules/$kernel" ] || depmod "$kernel" || true
done
! command -v ldconfig >/dev/null || ldconfig
[ ! -d /run/udev ] || udevadm control --reload || true
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
say "Tern's guest tools are removed"
