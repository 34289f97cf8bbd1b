/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The identities of doc/wire.md. Called at every handshake, with bytes from the network: everything is checked, and what is accepted is
 * written back byte for byte the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/mac.h"
#include "libssi/model/wire.h"

static const char *const identity_kinds[] = { [SSI_IDENTITY_BOOT] = "boot:", [SSI_IDENTITY_NODE] = "node:" };

/* One spelling only, so that an identity can be compared as text: lower case, no leading zeros. */
int ssi_identity_parse(const char *s, struct ssi_identity *ret)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_BOOT };
	const char *colon = strrchr(s, ':');
	char mac[SSI_MAC_LEN];
	size_t n;

	if (!strncmp(s, identity_kinds[SSI_IDENTITY_NODE], 5))
		id.kind = SSI_IDENTITY_NODE;
	else if (strncmp(s, identity_kinds[SSI_IDENTITY_BOOT], 5) != 0)
		return -EINVAL;
	s += 5;
	if (colon < s || (n = colon - s) >= sizeof(id.who))
		return -EINVAL;
	memcpy(id.who, s, n);
	if (id.kind == SSI_IDENTITY_BOOT ? ssi_mac_parse(id.who, mac) < 0 || strcmp(id.who, mac) != 0 : !ssi_path_is_name(id.who))
		return -EINVAL;
	if (colon[1] == '0' || ssi_num_u64(colon + 1, 1, UINT64_MAX, &id.incarnation) < 0)
		return -EINVAL;
	*ret = id;
	return 0;
}

int ssi_identity_format(const struct ssi_identity *id, char *buf, size_t n)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%s%s:%" PRIu64, identity_kinds[id->kind], id->who, id->incarnation);

	if ((size_t)len >= n)
		return -ENOSPC;
	memcpy(buf, text, (size_t)len + 1);
	return 0;
}
