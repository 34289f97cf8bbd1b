/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What an HTTP request path asks for (doc/boot.md). Pure: text in, a checked struct out; whatever it does not know is no route.
 * Percent-encoding (RFC 3986, 2.1) is undone once; a NUL, '/' or '%' may not be written that way.
 */
#include "libssi/model/mac.h"

enum route_kind { ROUTE_BOOT, ROUTE_IMAGE };

struct route {
	enum route_kind kind;
	char mac[SSI_MAC_LEN];          /* ROUTE_BOOT */
	char image[65], generation[72]; /* ROUTE_IMAGE: "sha256-" and 64 digits */
	const char *file;               /* "vmlinuz", "initramfs", "initramfs-iscsi" or "root.erofs"; static */
};
/* path: as it stands in the request line, without the query. 0, or -ENOENT (no such route), -EINVAL (malformed). *ret is untouched then. */
int route_parse(const char *path, struct route *ret);
