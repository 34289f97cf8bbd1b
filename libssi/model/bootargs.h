/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The kernel arguments between the master (which writes them into a boot script) and ssi-init (which reads /proc/cmdline).
 * Documented in doc/boot.md. Parsing allocates nothing and is bounded: PID 1 uses it.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/model/mac.h"
#include "libssi/model/shared.h"

#define SSI_BOOTARGS_NUMBER_MAX ((UINT32_C(1) << 30) - 1)

struct ssi_bootargs {
	char node[64];               /* ssi.node=n01 */
	uint32_t number;             /* ssi.number=3, the node's for good: 1..SSI_BOOTARGS_NUMBER_MAX; 0 = none (the master is 0) */
	char system[64];             /* ssi.system=demo */
	char mac[SSI_MAC_LEN];       /* ssi.mac=52:54:00:00:00:01, the interface that was booted from */
	struct in_addr address;      /* ssi.ip=10.77.0.11/24 */
	unsigned prefix;
	struct in_addr gateway;      /* ssi.gw=, 0 = none */
	struct in_addr master;       /* ssi.master=10.77.0.1:7701 */
	uint16_t port;
	uint64_t incarnation;        /* ssi.inc=7 */
	char token[65];              /* ssi.token= 64 hexadecimal digits, used once */
	char root[256];              /* ssi.root=nfs:/sha256-... (path in the master's NFSv4 pseudo-root) | ram:http://10.77.0.1:7780/... | iscsi:0123456789abcdef... (its disk's serial number) | disk:LABEL=x or /dev/x */
	char iscsi[88];              /* ssi.iscsi=10.77.0.1:3260,..., the portals of the system's target (libssi/model/iscsi.h), at most four; "" = no login */
	uint64_t root_size;          /* ssi.root.size=, bytes, and ssi.root.sha256=, 64 hexadecimal digits: what a root of ram: must be; 0 and "" else */
	char root_sha256[65];
	char state[64];              /* ssi.state=disk:/dev/vdb, LABEL=... or UUID=..., "" = memory */
	char shared[SSI_SHARED_TEXT]; /* ssi.shared=/home,/srv/data: the master's, mounted on the node at the same place; "" = none */
	char init[32];               /* ssi.init=ssi | systemd */
	uint32_t delay_s;            /* ssi.delay=, seconds before the reboot after a failure for good; 30 by default */
	bool rescue;                 /* ssi.rescue: a shell instead of a reboot after a failure */
	bool debug;                  /* ssi.debug: say more */
};
/* Read a kernel command line (quotes as the kernel's own parser has them; foreign words, and ssi. words it does not know, are passed over). The last word counts when one is twice.
 * A malformed or missing ssi. value: -EINVAL and in e the word and what it should be. */
int ssi_bootargs_parse(const char *cmdline, struct ssi_bootargs *ret, struct ssi_err *e);
/* Write them, space between, at most n bytes with the NUL; -ENOSPC if it does not fit (a kernel takes 2048). */
int ssi_bootargs_format(const struct ssi_bootargs *a, char *buf, size_t n);
/* Where a root of ram: is fetched from; *ret_path points into root. -EINVAL: root is no ram:http://ADDRESS:PORT/PATH. */
int ssi_bootargs_http(const char *root, struct in_addr *ret_address, uint16_t *ret_port, const char **ret_path);
/* The i'th portal of ssi.iscsi=, from 0 on; -ENOENT: there are not so many; -EINVAL: it is no ADDRESS:PORT. */
int ssi_bootargs_portal(const char *list, unsigned i, struct in_addr *ret_address, uint16_t *ret_port);
