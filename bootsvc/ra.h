/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * "There is no router here", said to whom asks by IPv6. iPXE waits about 13 s for a router after it has its IPv4 address; one
 * advertisement with a lifetime of 0 and no prefix (RFC 4861, 6.2.3) ends that at once, and gives nobody a route or an address.
 */
#include "bootsvc/daemon.h"

struct ra;
int ra_new(struct daemon *d, struct ra **ret);        /* 0 or -errno: boots are slower without it, no more. All below take NULL */
void ra_free(struct ra *ra);
/* Answer on the interfaces of the registry's systems, and on no others. */
void ra_registry_changed(struct ra *ra);
