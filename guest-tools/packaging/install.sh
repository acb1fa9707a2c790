#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs Tern's guest tools on a distribution without dpkg, or a newer version over an older one.
# Everything that can fail comes before the first visible change; what fails undoes what was done and says why.
# What it made is listed in /var/lib/tern/install.manifest, one a line, and that is what uninstall.sh removes:
#   file PATH | dir PATH | group NAME
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
state=/var/lib/tern
manifest=$state/install.manifest
config=/etc/tern/agent.toml
new=.tern-new
kernel=$(uname -r)
module=yes

say() {
	echo "install.sh: $*" >&2
}

usage() {
	echo "usage: install.sh [--no-module] [--kernel RELEASE]"
	echo "  --no-module       leave the kernel module out"
	echo "  --kernel RELEASE  build it for this kernel, not for the running one ($kernel)"
}

while [ $# -gt 0 ]; do
	case "$1" in
	--no-module) module=no ;;
	--kernel)
		[ $# -gt 1 ] || { usage >&2; exit 2; }
		kernel=$2
		shift
		;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

# --- what must hold

[ "$(id -u)" = 0 ] || { say "only root can install"; exit 1; }
[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || { say "this is not Linux on x86-64"; exit 1; }
if command -v dpkg >/dev/null; then
	say "this distribution has packages: apt install $here/tern-guest-tools_$(cat "$here/VERSION")_amd64.deb"
	exit 1
fi
if ! "$here/files/usr/local/sbin/tern-agent" --version >/dev/null 2>&1; then
	say "the agent does not start from $here: it needs glibc 2.34 or later, and a medium that is not mounted noexec"
	exit 1
fi

# --- undoing

work=
made=       # what to remove again, the newest first, one a line: kind and path
done=no

undo() {
	status=$?
	trap - EXIT INT TERM HUP
	set +e
	if [ "$done" != yes ]; then
		echo "$made" | while read -r kind path; do
			case "$kind" in
			file) rm -f "$path" ;;
			dir) rmdir "$path" 2>/dev/null ;;
			group) groupdel "$path" ;;
			esac
		done
		say "FAILED for the reason above; everything is as it was before"
		[ "$status" != 0 ] || status=1
	fi
	[ -z "$work" ] || rm -rf "$work"
	exit "$status"
}
trap undo EXIT
trap 'say interrupted; exit 130' INT TERM HUP

remember() {
	made="$1 $2
$made"
}

# make_dir PATH: with its parents; each new one is remembered.
make_dir() {
	[ ! -d "$1" ] || return 0
	make_dir "$(dirname "$1")"
	mkdir "$1"
	remember dir "$1"
	echo "dir $1" >>"$work/manifest"
}

# stage FROM TO MODE: the new file lies beside the old one, under a name that nobody reads.
stage() {
	make_dir "$(dirname "$2")"
	remember file "$2$new"
	cp -P "$1" "$2$new"
	[ -L "$1" ] || chmod "$3" "$2$new"
	echo "file $2" >>"$work/manifest"
}

# --- the kernel module

build_module() {
	headers=/lib/modules/$kernel/build
	[ "$module" = yes ] || return 0
	missing=
	for tool in make gcc; do
		command -v $tool >/dev/null || missing="$missing $tool"
	done
	[ -e "$headers/Makefile" ] || missing="$missing the headers of kernel $kernel ($headers)"
	if [ -n "$missing" ]; then
		module=no
		say "no kernel module, for there is no:$missing"
		say "the agent uses the virtio-console port; run install.sh again when it is there"
		return 0
	fi
	cp -R "$here/module" "$work/module"
	chmod -R u+w "$work/module"
	say "building the kernel module for $kernel"
	if ! make -C "$headers" M="$work/module" modules >"$work/log" 2>&1; then
		tail -n 30 "$work/log" >&2
		say "the kernel module does not build for $kernel; install.sh --no-module leaves it out"
		return 1
	fi
	! command -v strip >/dev/null || strip --strip-debug "$work/module/tern.ko"
}

# --- install

work=$(mktemp -d)
: >"$work/manifest"
build_module

make_dir "$state"
(cd "$here/files" && find . ! -type d) | sed 's/^\.//' | sort >"$work/list"
while read -r path; do
	if [ "$path" = $config ] && [ -e $config ]; then
		# It is the owner's now.
		cmp -s "$here/files$path" $config || say "$config stays as it is"
		echo "file $path" >>"$work/manifest"
		continue
	fi
	mode=644
	[ ! -x "$here/files$path" ] || mode=755
	stage "$here/files$path" "$path" $mode
done <"$work/list"
[ "$module" = no ] || stage "$work/module/tern.ko" "/lib/modules/$kernel/updates/tern.ko" 644

if ! grep -q '^tern:' /etc/group; then
	if command -v groupadd >/dev/null; then
		groupadd -r tern
	else
		addgroup -S tern
	fi
	remember group tern
	echo "group tern" >>"$work/manifest"
fi

# Folders and the group of an earlier run are ours too, and so are modules of other kernels.
if [ -e $manifest ]; then
	grep -E '^(dir|group) |^file /lib/modules/' $manifest >>"$work/manifest" || true
fi
awk '!seen[$0]++' "$work/manifest" >"$work/manifest.all"
remember file "$manifest$new"
cp "$work/manifest.all" "$manifest$new"

# --- from here on nothing needs room on the disk

if [ -e $manifest ]; then
	sed -n 's/^file //p' $manifest >"$work/old"
else
	: >"$work/old"
fi
done=yes
trap '' INT TERM HUP
mv -f "$manifest$new" $manifest
sed -n 's/^file //p' $manifest | while read -r path; do
	if [ -e "$path$new" ] || [ -L "$path$new" ]; then
		mv -f "$path$new" "$path"
	fi
done
while read -r path; do
	grep -qxF "file $path" $manifest || rm -f "$path"
done <"$work/old"
trap - INT TERM HUP

attempt() {
	"$@" || say "could not be done: $*"
}
! command -v ldconfig >/dev/null || attempt ldconfig
[ "$module" = no ] || attempt depmod "$kernel"
[ ! -d /run/udev ] || attempt udevadm control --reload
if [ -d /run/systemd/system ]; then
	attempt systemctl daemon-reload
	attempt systemctl stop tern-agent.service
fi
if [ "$module" = yes ] && [ "$kernel" = "$(uname -r)" ]; then
	[ ! -d /sys/module/tern ] || attempt modprobe -r tern
	[ ! -d /sys/bus/acpi/devices/TERN0001:00 ] || attempt modprobe tern
fi
if [ -d /run/systemd/system ]; then
	attempt systemctl enable --now tern-agent.service
else
	say "there is no systemd: have your init start /usr/local/sbin/tern-agent"
fi
say "version $(cat "$here/VERSION") is installed; tern-guest-tools-uninstall removes it"
