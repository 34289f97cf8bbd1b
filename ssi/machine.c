/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by verb-machine-accept.c and verb-machine-rm.c. */
#include <stdio.h>
#include "ssi/ask.h"
#include "ssi/machine.h"

int machine_ask(struct ssi_cmd_args *a, const char *call, const char *address, char mac[SSI_MAC_LEN], json_t **ret)
{
	if (ssi_mac_parse(address, mac) < 0) {
		fprintf(stderr, "ssi: '%s' is no machine's address: like 52:54:00:12:34:56\n", address);
		return 2;
	}
	return ask(a, call, json_pack("{s:s}", "mac", mac), ASK_TIMEOUT_MS, ret);
}
