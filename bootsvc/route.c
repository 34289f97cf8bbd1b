/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The paths of the HTTP server. Called by http.c with what came from the network, and by a fuzz target. */
#include <errno.h>
#include <string.h>
#include "bootsvc/route.h"
#include "libssi/base/path.h"

#define ROUTE_MAX 256

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode(const char *s, char ret[ROUTE_MAX])
{
	size_t n = 0;

	for (; *s; s++) {
		int c = (unsigned char)*s;

		if (c == '%') {
			int high = hex_value(s[1]), low = high < 0 ? -1 : hex_value(s[2]);

			if (low < 0)
				return -EINVAL;
			c = high << 4 | low;
			if (c == '/' || c == '%')
				return -EINVAL;
			s += 2;
		}
		if (c <= ' ' || c >= 0x7f || n + 1 >= ROUTE_MAX)
			return -EINVAL;
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return 0;
}

static int is_generation(const char *s)
{
	if (strncmp(s, "sha256-", 7) != 0 || strlen(s) != 71)
		return 0;
	return strspn(s + 7, "0123456789abcdef") == 64;
}

static int parse_image(char *rest, struct route *r)
{
	static const char *const files[] = { "vmlinuz", "initramfs", "initramfs-iscsi", "root.erofs" };
	char *generation = strchr(rest, '/'), *file = generation ? strchr(generation + 1, '/') : NULL;

	if (!file)
		return -ENOENT;
	*generation++ = '\0';
	*file++ = '\0';
	if (!ssi_path_is_name(rest) || !is_generation(generation))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (strcmp(file, files[i]) == 0) {
			r->file = files[i];
			strcpy(r->image, rest);             /* a name has at most 64 bytes */
			strcpy(r->generation, generation);  /* 71 */
			return 0;
		}
	return -ENOENT;
}

int route_parse(const char *path, struct route *ret)
{
	struct route r = { 0 };
	char s[ROUTE_MAX];
	int ok = decode(path, s);

	if (ok < 0)
		return ok;
	if (strncmp(s, "/boot/", 6) == 0) {
		r.kind = ROUTE_BOOT;
		ok = ssi_mac_parse(s + 6, r.mac);
	} else if (strncmp(s, "/image/", 7) == 0) {
		r.kind = ROUTE_IMAGE;
		ok = parse_image(s + 7, &r);
	} else {
		ok = -ENOENT;
	}
	if (ok < 0)
		return ok;
	*ret = r;
	return 0;
}
