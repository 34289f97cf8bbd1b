/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Machines that this master is closed to, but for what a boot takes: fenced ones, until they come up afresh. Which they are stands in the store; the kernel's packet
 * filter follows (doors-nft.h), is read back, and is looked at from time to time, because a firewall that is loaded again sweeps away what it does not know. A daemon that ends leaves
 * doors closed: what they guard may go on being served, and the machine may wake up meanwhile.
 */
#include "bootsvc/daemon.h"

struct doors;
int doors_new(struct daemon *d, struct doors **ret, struct ssi_err *e);  /* closes those of the store before it returns, if it can; call it before anything is served */
void doors_free(struct doors *x);                     /* doors stay closed; callbacks still due are called with -ECANCELED; NULL is fine */

/* err 0: read back, the machine is shut out. Else why not; it is tried again on its own all the same. */
typedef void (*doors_done)(const char *mac, int err, const struct ssi_err *why, void *userdata);
/* Stored before anything else; done is called once, later. -errno: not stored. */
int doors_close(struct doors *x, const char *mac, const char *node, doors_done done, void *userdata, struct ssi_err *e);
/* 1 = was closed and opens now, 0 = was open, -errno. */
int doors_open(struct doors *x, const char *mac, struct ssi_err *e);
bool doors_closed(const struct doors *x, const char *mac);           /* is it to be? */
