/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The kernel NFS server's clients (/proc/fs/nfsd/clients): which of them come from an address, and taking from them what they hold (opens, locks, delegations). One who
 * may still speak comes back at once as a new client: close its door first (doors.h).
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"

#define NFS_CLIENTS "/proc/fs/nfsd/clients"

/* The name (a number) of a client from there, the first after the one given ("" to begin); 1 = found, 0 = none, -errno. No such folder: no server, none. */
int nfs_clients_next(const char *folder, struct in_addr address, char name[32], struct ssi_err *e);

/* err 0: read back, none is from there any more; n: so many were. Else why not. */
typedef void (*nfs_clients_done)(int err, unsigned n, const struct ssi_err *why, void *userdata);
struct nfs_clients;
/* done is called once, later; *ret is of no more use then. */
int nfs_clients_expire(sd_event *event, const char *folder, struct in_addr address, nfs_clients_done done, void *userdata, struct nfs_clients **ret,
		       struct ssi_err *e);
/* At the daemon's end, waiting, at most NFS_CLIENTS_WAIT_MS for each: the clients at an address that is gone lose what they hold. How many there were; -errno. */
#define NFS_CLIENTS_WAIT_MS 3000
int nfs_clients_expire_gone(const char *folder, bool (*gone)(struct in_addr address, void *userdata), void *userdata);
void nfs_clients_free(struct nfs_clients *c);         /* done is not called; NULL is fine */
