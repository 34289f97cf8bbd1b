/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The kernel's IPv4 neighbour table: who an address on this network really is. */
#include <netinet/in.h>
#include <stdbool.h>

#define NEIGHBOURS "/proc/net/arp"

/* Is that address at that machine's, by this text of the table? Pure. */
bool neighbour_in(const char *table, struct in_addr address, const char *mac);
/* The same of the kernel's own table, now. False for who is behind a router, or not known. */
bool neighbour_is(struct in_addr address, const char *mac);
