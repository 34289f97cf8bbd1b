/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * iPXE scripts. Pure: what to say in, text out. Every script that does not boot says on the machine's console what is the
 * matter, waits, and asks again: a machine is never left at a prompt.
 */
#include <netinet/in.h>
#include "libssi/base/buf.h"
#include "libssi/model/bootargs.h"

#define BOOTSCRIPT_AGAIN_S 5         /* between two questions of a machine that has to wait; */
#define BOOTSCRIPT_SPARE_S 1         /* of a spare, for whom a node may be waiting; and for what takes a moment */

struct bootscript {
	struct in_addr master;
	uint16_t http_port;
	const char *image, *generation;
	const struct ssi_bootargs *args;
	const char *more;            /* further kernel arguments, "" if none */
};
/* Load and start. -ENOSPC when the arguments do not fit a kernel command line. */
int bootscript_boot(const struct bootscript *b, struct ssi_buf *ret);
/* Say text (printable, one line; what iPXE would take for its own syntax is taken out), wait so many seconds, ask again. */
int bootscript_wait(struct in_addr master, uint16_t http_port, const char *text, unsigned again_s, struct ssi_buf *ret);
