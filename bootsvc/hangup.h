/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * TCP connections that the kernel has with a machine that is gone. The kernel waits for its answers for a quarter of an hour, and what waits for the connection
 * does so too: a login to the iSCSI target that was never finished keeps every other login out, and its portal cannot be taken away.
 */
#include <netinet/in.h>
#include <stdint.h>
#include "libssi/base/err.h"

/* End all connections from these n addresses to a port of this host, at once (SOCK_DESTROY, sock_diag(7)); peers NULL: from anywhere. Who listens goes on. How many there were; -errno with
 * the reason in e, -EOPNOTSUPP where the kernel cannot (CONFIG_INET_DIAG_DESTROY). */
int hangup(const struct in_addr *peers, size_t n, uint16_t port, struct ssi_err *e);
