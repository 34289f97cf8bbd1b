/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * People's entries of passwd and group (numbers from 1000 to 59999), from the master's files into a node's, so that a number means the same person on all
 * of them. Pure: texts in, texts out.
 */
#include "libssi/base/buf.h"

#define SSI_USERS_FIRST 1000u
#define SSI_USERS_LAST 59999u
#define SSI_USERS_MAX (4u << 20)         /* bytes of a file */

enum ssi_users { SSI_USERS_PASSWD, SSI_USERS_GROUP };

/* What the master gives out of its file: people's entries alone, without any password. Lines that are none are passed over. 0 or -ENOMEM (ret->err). */
int ssi_users_give(enum ssi_users kind, const char *text, struct ssi_buf *ret);
/*
 * A node's file anew: its own as it is, but that the numbers of people are the master's. An entry of such a number stays only if the image has its name
 * as well and the master knows neither that nor its number; an entry of the master's counts only if its name is none of the system's own (below 1000 or
 * above 59999). own: the node's file now; image: as the image has it; master: what was given. *ret_dropped: how many of the image's entries had to go. 0 or -ENOMEM.
 */
int ssi_users_merge(enum ssi_users kind, const char *own, const char *image, const char *master, struct ssi_buf *ret, unsigned *ret_dropped);
