#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages of mk/packages that are missing; quiet when none is.
set -eu

list=$(dirname "$0")/packages
want=$(grep -v '^#' "$list")

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	{
		echo "setup: this is not Debian; Tern is built and tested on Debian 12."
		echo "setup: please install what these Debian packages hold, then 'mkdir -p build && touch build/.setup':"
		echo "$want" | sed 's/^/  /'
	} >&2
	exit 1
fi

missing=
for p in $want; do
	dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed' ||
		missing="$missing $p"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "setup: run as root, or install sudo: need$missing" >&2
		exit 1
	}
	as_root=sudo
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -q update
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing
