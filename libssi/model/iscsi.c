/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by the master's targets and by a node's login. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "libssi/model/iscsi.h"

#define IQN "iqn.2026-11.internal.ssi:"

/* Lower-case letters, digits, '-' and '.' as they are (RFC 3722). */
static int name_add(char name[SSI_ISCSI_NAME], const char *text)
{
	size_t n = strlen(name);

	for (; *text; text++) {
		bool plain = (*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9') || *text == '-' || *text == '.';
		int len = snprintf(name + n, SSI_ISCSI_NAME - n, plain ? "%c" : ":x%02x", (unsigned char)*text);

		n += (size_t)len;
		if (n >= SSI_ISCSI_NAME)
			return -ENAMETOOLONG;
	}
	return 0;
}

int ssi_iscsi_target(const char *system, char ret[SSI_ISCSI_NAME])
{
	strcpy(ret, IQN);
	return name_add(ret, system);
}

int ssi_iscsi_initiator(const char *system, const char *node, uint64_t incarnation, char ret[SSI_ISCSI_NAME])
{
	int r = ssi_iscsi_target(system, ret), n;

	if (r < 0 || strlen(ret) + 1 >= SSI_ISCSI_NAME)
		return -ENAMETOOLONG;
	strcat(ret, ":");
	r = name_add(ret, node);
	if (r < 0)
		return r;
	n = snprintf(ret + strlen(ret), SSI_ISCSI_NAME - strlen(ret), ":%" PRIu64, incarnation);
	return n < 0 || strlen(ret) >= SSI_ISCSI_NAME - 1 ? -ENAMETOOLONG : 0;
}

void ssi_iscsi_serial(const char *generation, char ret[SSI_ISCSI_SERIAL])
{
	snprintf(ret, SSI_ISCSI_SERIAL, "%s", strncmp(generation, "sha256-", 7) ? generation : generation + 7);
}
