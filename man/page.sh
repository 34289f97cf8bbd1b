#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# page.sh PAGE.scd BUILDDIR: the page with its line "@SYNOPSIS@" replaced by the calls that its program's table of verbs allows.
# A program that does not run here (built for another machine) leaves one line in their place.
set -eu
page=$1 build=$2
name=$(basename "$page" .scd)
name=${name%.*}

program=
for i in ssi bootsvc mkimage ssi-init ssi-agent; do
	if [ -x "$build/$i/$name" ]; then
		program=$build/$i/$name
	fi
done

# "ssi node list [--x Y] [RANGE]<TAB>help" → "*ssi node list* [--x Y] [RANGE]", a paragraph each.
synopsis() {
	if [ -z "$program" ] || ! "$program" --man-synopsis 2>/dev/null; then
		printf '%s VERB [OPTION...] [WORD...]\t\n' "$name"
	fi | cut -f 1 | sed -e 's/^\([a-z-]*\( [a-z]\+\)*\)/*\1*/' -e 's/_/\\_/g' -e 's/$/\n/'
}

sed -n '/^@SYNOPSIS@$/q;p' "$page"
if grep -q '^@SYNOPSIS@$' "$page"; then
	synopsis
	sed '1,/^@SYNOPSIS@$/d' "$page"
fi
