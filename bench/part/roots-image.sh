# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An image of the bench's own: recipes/compute.ini with fio, iperf3 and curl, and a file of noise to read (nothing compresses it, so that every
# byte of it crosses the link). It lies beside the lab's images and not among them: no user's recipe changes. Sourced by roots.

ROOTS_DATA_MIB=64
ROOTS_STORE=$CACHE/bench/images

# The folder of its current generation; built where its inputs are new.
roots_image() { # BUILD-DIR
	local tree=$WORK/recipes build=$1
	[ -x "$build/mkimage/ssi-mkimage" ] || die "no $build/mkimage/ssi-mkimage; scripts/build makes it"
	mkdir -p "$ROOTS_STORE" "$CACHE/steps"
	cp -r "$TOP/recipes" "$tree"
	sed -i 's/^name  *=.*/name = bench/; 0,/^packages/s/^packages.*/&\npackages = fio iperf3 curl/; s/^copy = .*/&\ncopy = overlay\/bench/' "$tree/compute.ini"
	mkdir -p "$tree/overlay/bench/bench"
	# The same noise each time, so that the image is the same.
	openssl enc -aes-128-ctr -nosalt -K 00000000000000000000000000000001 -iv 00000000000000000000000000000000 </dev/zero 2>/dev/null |
		head -c $((ROOTS_DATA_MIB << 20)) >"$tree/overlay/bench/bench/data"
	"$build/mkimage/ssi-mkimage" build --store "$ROOTS_STORE" --cache "$CACHE/steps" --programs "$build/stage" "$tree/compute.ini" >"$WORK/image.log" 2>&1 ||
		die "the bench's image is not built: $(tail -n 3 "$WORK/image.log")"
	readlink -e "$ROOTS_STORE/bench/current"
}

# Into the master's store, as a second image.
roots_image_send() {
	tar -C "$ROOTS_STORE" -cf - bench | "$SSI_LAB_SELF" exec master tar -C /var/lib/ssi/images -xf - || die "the bench's image cannot be sent to the master"
}
