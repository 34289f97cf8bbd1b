#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Does includes.sh see what it is there for? A small tree with one wrong include at a time must fail with that place named.
set -eu
here=$(cd "${srcdir:-.}" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree/doc" "$tree/libssi/base" "$tree/libssi/model" "$tree/ssi/boot" "$tree/ssi-init" "$tree/ssi-agent" "$tree/ssi-keeper" "$tree/mkimage" "$tree/bootsvc"
cp "$here/doc/map.md" "$tree/doc/"
for i in 1 2 3 4 5 6 7 8 9 10; do
	echo '#include "libssi/base/err.h"' > "$tree/bootsvc/file$i.c"
done

includes() {
	srcdir="$tree" "$here/tests/unit/includes.sh"
}

# FILE LINE: a tree with this line in this file fails and says FILE:1.
refused() {
	echo "$2" > "$tree/$1"
	if said=$(includes); then
		echo "not seen: $2 in $1"
		exit 1
	fi
	rm "$tree/$1"
	case $said in
	"$1:1: "*) ;;
	*) echo "$1: said '$said'"; exit 1 ;;
	esac
}

accepted() {
	echo "$2" > "$tree/$1"
	includes
	rm "$tree/$1"
}

accepted libssi/model/x.c '#include "libssi/base/num.h"'
accepted bootsvc/x.c '#include "ssi/boot/master.h"'
accepted ssi/x.c '#include "libssi/comm/control.h"'
refused libssi/base/x.c '#include "libssi/model/mac.h"'
refused libssi/model/x.c '#include "libssi/comm/ccm.h"'
refused libssi/model/x.c '#include "libssi/base/clock.h"'
refused libssi/model/x.c '#include <sys/socket.h>'
refused ssi/boot/x.c '#include "bootsvc/state.h"'
refused bootsvc/x.c '#include "mkimage/store.h"'
refused bootsvc/x.c '#include "state.h"'
refused ssi/x.c '#include "ssi/boot/master.h"'
