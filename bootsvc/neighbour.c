/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/net/arp: a header, then "ADDRESS TYPE FLAGS MAC MASK DEVICE" a line. Called by fence.c, seldom: it is read whole. */
#include "bootsvc/neighbour.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/model/mac.h"

#define TABLE_MAX (16u << 20)
#define COMPLETE 2u                  /* ATF_COM: it answered */

static bool line_is(const char *line, const char *address, const char *mac)
{
	char a[INET_ADDRSTRLEN], m[32], canonical[SSI_MAC_LEN];
	unsigned type, flags;

	return sscanf(line, "%15s 0x%x 0x%x %31s", a, &type, &flags, m) == 4 && (flags & COMPLETE) && strcmp(a, address) == 0 &&
	       ssi_mac_parse(m, canonical) == 0 && strcmp(canonical, mac) == 0;
}

bool neighbour_in(const char *table, struct in_addr address, const char *mac)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, text, sizeof(text));
	for (const char *line = table; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (line_is(line, text, mac))
			return true;
	}
	return false;
}

bool neighbour_is(struct in_addr address, const char *mac)
{
	_cleanup_free_ char *table = NULL;

	return ssi_file_read(NEIGHBOURS, TABLE_MAX, &table, NULL) == 0 && neighbour_in(table, address, mac);
}
