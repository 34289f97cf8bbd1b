/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* How one daemon was told to run: the options of "ssi-bootsvc start". Borrowed strings. */
#include <stdbool.h>
#include <stdint.h>

#define BOOTSVC_HTTP_PORT 7780

struct bootsvc_options {
	const char *config, *state, *run, *store;
	const char *exports;            /* the name of a backend of exports.c: "nfsd" or "none" */
	bool dhcp;                      /* run dnsmasq */
	uint16_t http_port, ccm_port;
};
