/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ethernet addresses as text. Called wherever a machine is named: nodes.d, the boot server's paths, kernel arguments. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "libssi/model/mac.h"

int ssi_mac_parse(const char *s, char ret[SSI_MAC_LEN])
{
	char out[SSI_MAC_LEN] = "";

	if (strnlen(s, SSI_MAC_LEN) != SSI_MAC_LEN - 1 || (s[2] != ':' && s[2] != '-'))
		return -EINVAL;
	for (int i = 0; i < SSI_MAC_LEN - 1; i++) {
		unsigned char ch = s[i];

		if (i % 3 == 2 ? ch != (unsigned char)s[2] : !isxdigit(ch))
			return -EINVAL;
		out[i] = i % 3 == 2 ? ':' : (char)tolower(ch);
	}
	/* The lowest bit of the first byte marks a group of receivers. */
	if (strchr("13579bdf", out[1]) || !strcmp(out, "00:00:00:00:00:00"))
		return -EINVAL;
	memcpy(ret, out, sizeof(out));
	return 0;
}
